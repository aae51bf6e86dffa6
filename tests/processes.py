"""A command in a process of its own, where the process is what is tested."""

import os
import subprocess
import sys
from typing import Any


def module(*arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    options.setdefault("env", dict(os.environ))  # without the COLUMNS that readline, in this process, hands down
    return subprocess.run(
        [sys.executable, "-m", *arguments], capture_output=True, text=True, timeout=600, check=False, **options
    )
