"""A trace that is edited in any way and signed anew is refused in one line, or gives what it says.

`python -m tests.golden.test_edits N` tries N edits of each kind of trace, more than there is time for in CI.
"""

import io
import json
import random
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import h5py
import numpy as np
import pytest

import sdt_ref
from sdt_ref import compare, sizing, vectors
from sdt_ref.golden.trace_file import open_trace
from sdt_ref.golden.writing import write_trace
from sdt_ref.weights.file import save
from tests.golden.edits import Edit, edits, signed
from tests.golden.test_trace import NARROW
from tests.networks import Network, input_of, model_of, weights_of

TINY = Network(dim=8, hidden=16, time_steps=2, height=4, width=4, pooling_stat="0101", num_heads=2, batch=1, drive=1.5)
FRAMES = Network(dim=8, hidden=8, time_steps=2, height=2, width=4, pooling_stat="0000", num_heads=2, batch=1,
                 dvs_mode=True, spike_mode="plif", frames=True, in_channels=2)  # fmt: skip
PARTS = ["patch_embed.proj_lif1", "patch_embed.proj_conv3", "block.0.attn.*", "head*", "input"]
SOUND = {
    "fixed": (TINY, "fixed", NARROW),
    "frames, fixed": (FRAMES, "fixed", None),
    "float32": (TINY, "float32", None),
    "frames, float64": (FRAMES, "float64", None),
}


class Search:
    """Edits of one sound trace, each run through all that reads one."""

    def __init__(self, folder: Path, case: str) -> None:
        network, self.arithmetic, formats = SOUND[case]
        self.folder = folder
        self.sound, self.weights, self.edited = folder / "run.h5", str(folder / "w.h5"), folder / "edited.h5"
        save(self.weights, weights_of(network))
        write_trace(self.sound, model_of(network, self.arithmetic, formats=formats), input_of(network), PARTS)
        with open_trace(self.sound) as trace:
            self.known = set(trace.records)
            for k, name in enumerate(trace.records):
                values = trace.values(name)
                values.flat[k % values.size] = 1 - values.flat[k % values.size]
                np.savez(folder / f"{k}.npz", **{name: values})
        with h5py.File(self.sound) as file:
            self.edits = list(edits(file))
        self.places: Counter[str] = Counter()
        self.refused = 0

    def run(self, name: str, edit: Edit, rng: random.Random) -> None:
        """Edit, sign, and give the file to every command."""
        shutil.copy(self.sound, self.edited)
        with h5py.File(self.edited, "a") as file:
            edit(file)
            signed(file, self.known)
        opens = self._opens(name)
        self.refused += not opens
        self._command(name, compare.main, [str(self.sound), str(self.edited)])
        if not opens:
            return
        dump = str(self.folder / f"{rng.randrange(len(self.known))}.npz")
        for rarely, main, arguments in (
            (1, compare.main, [str(self.edited), dump]),
            (1, compare.main, [str(self.edited), str(self.sound), "--json"]),
            (4, compare.main, [str(self.edited), str(self.edited), "--isolated", "--weights", self.weights]),
            (4, vectors.main, [str(self.edited), "--weights", self.weights, "-o", str(self.folder / "vectors")]),
            (2, sizing.main, [str(self.edited), "--weights", self.weights]),
            (4, sizing.main, [str(self.sound), str(self.edited), "--weights", self.weights, "--json"]),
        ):
            if not rng.randrange(rarely):
                self._command(name, main, arguments)
                shutil.rmtree(self.folder / "vectors", ignore_errors=True)

    def _opens(self, name: str) -> bool:
        try:
            with open_trace(self.edited):
                return True
        except sdt_ref.SdtError as error:
            if "\n" in str(error):
                self.places[f"{name}: more than a line"] += 1
        except Exception:
            self._found(name)
        return False

    def _command(self, name: str, main: sdt_ref.terminal.cli.Command, arguments: Sequence[str]) -> None:
        out, err = io.StringIO(), io.StringIO()
        try:
            with redirect_stdout(out), redirect_stderr(err):
                code = main(arguments)
        except Exception:
            self._found(name)
            return
        said = err.getvalue()
        if code == 2 and (said.count("\n") != 1 or "the disk" in said or "memory" in said):
            self.places[f"{name}: {said!r:.200}"] += 1
        if code != 2 and "--json" in arguments:
            json.loads(out.getvalue())

    def _found(self, name: str) -> None:
        """Where it was raised: the last line of the package, and what."""
        kind, _, trace = sys.exc_info()
        frame = [f for f in traceback.extract_tb(trace) if "sdt_ref" in f.filename][-1]
        place = f"{'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno} {kind.__name__ if kind else ''}"
        if place not in self.places:
            print(place, "--", name)
        self.places[place] += 1


def searched(folder: Path, case: str, most: int, seed: int = 0) -> Search:
    """A sample of so many edits, half of them beside the header, of which there are most."""
    search, rng = Search(folder, case), random.Random(seed)
    of_header, others = ([e for e in search.edits if e[0].startswith("header ") is told] for told in (True, False))
    for name, edit in rng.sample(of_header, most // 2) + rng.sample(others, most // 2):
        search.run(name, edit, rng)
    return search


@pytest.mark.slow
@pytest.mark.parametrize("case", SOUND)
def test_an_edited_trace_is_refused_in_one_line_or_gives_what_it_says(tmp_path: Path, case: str) -> None:
    search = searched(tmp_path, case, 12)
    assert not search.places
    assert search.refused > 6  # half of them, as in the campaign


@pytest.mark.campaign
@pytest.mark.slow
@pytest.mark.parametrize("case", SOUND)
def test_any_edit_of_a_trace_is_refused_in_one_line_or_gives_what_it_says(tmp_path: Path, case: str) -> None:
    search = searched(tmp_path, case, 60, seed=1)
    assert not search.places
    assert search.refused > 30


if __name__ == "__main__":
    for name in SOUND:
        with tempfile.TemporaryDirectory() as made:
            tried = searched(Path(made), name, int(sys.argv[1]), seed=2)
        print(f"{name}: {tried.refused} refused; {dict(tried.places) or 'no fault'}")
