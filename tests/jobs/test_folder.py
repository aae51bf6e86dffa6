"""OUTPUT.parts: what it holds at every moment is what an interrupted run left."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sdt_ref.errors import ConfigError
from sdt_ref.jobs.folder import RUN, PartsFolder
from sdt_ref.jobs.identity import Identity
from sdt_ref.jobs.job import Part

OWN = Identity(*(4 * ["0" * 64]))


def test_a_folder_of_which_the_removal_was_interrupted_is_still_this_run_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each file that is removed."""
    unlink = Path.unlink
    for moment in range(4):
        folder, removed = PartsFolder(tmp_path / "out", OWN, {}, 9), 0
        for start in (0, 3, 6):
            folder.keep(range(start, start + 3), Part({"x": np.arange(3)}))

        def stopping(path: Path, missing_ok: bool = False, moment: int = moment) -> None:
            nonlocal removed
            if removed == moment:
                raise KeyboardInterrupt
            removed += 1
            unlink(path, missing_ok)

        with monkeypatch.context() as patched:
            patched.setattr(Path, "unlink", stopping)
            if moment < 3:
                with pytest.raises(KeyboardInterrupt):
                    folder.remove()
            else:
                folder.remove()
        assert len(PartsFolder(tmp_path / "out", OWN, {}, 9).finished()) == 3 - min(moment, 3)


def test_chunks_of_another_run_or_another_name_are_not_there(tmp_path: Path) -> None:
    """As where a folder was removed under one run, and another one made it anew."""
    own, part = PartsFolder(tmp_path / "out", OWN, {}, 12), Part({"x": np.arange(4)})
    for start in (0, 4, 8):
        own.keep(range(start, start + 4), part)
    one, two, three = sorted(own.path.glob("*.part"))
    (own.path / RUN).unlink()
    kept = {path: path.read_bytes() for path in (one, two)}
    for path in (one, two, three):
        path.unlink()
    other = PartsFolder(tmp_path / "out", replace(OWN, settings="1" * 64), {}, 12)
    for path, content in kept.items():
        path.write_bytes(content)
    assert other.finished() == []
    with pytest.raises(ConfigError, match="expected the samples 0 to 3, which were there, found none"):
        other.load(range(0, 4))
    two.rename(three)
    assert own.finished() == [range(0, 4)]
