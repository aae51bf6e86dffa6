"""OUTPUT.parts: what it holds at every moment is what an interrupted run left."""

from pathlib import Path

import numpy as np
import pytest

from sdt_ref.jobs.folder import PartsFolder
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
