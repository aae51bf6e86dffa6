"""The walk-through in docs/ runs as it is written."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("iverilog") is None or find_spec("cocotb") is None,
    reason="Icarus Verilog or cocotb is not installed: apt install iverilog; pip install 'sdt_ref[hardware]'",
)
def test_every_command_prints_what_the_page_says(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "from-photo-to-bug.md").read_text()
    steps = re.findall(r"```sh\n(.*?)\n```\n\n```\n(.*?)\n```\n", page, flags=re.S)
    assert len(steps) == page.count("```sh") == 10
    (tmp_path / "hardware").symlink_to(ROOT / "hardware")
    path = (
        f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # `python` is this one, as in a venv's shell
    )
    environment = {**os.environ, "PATH": path, "COLUMNS": "100", "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    for command, expected in steps:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        printed = [line.rstrip() for line in (done.stdout + done.stderr).rstrip().splitlines()]
        printed = [line for line in printed if not line.startswith("first run: compiling")]
        assert printed == expected.splitlines(), command
