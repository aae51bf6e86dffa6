"""`energy`: what it prints and writes, where, and with which exit code."""

import csv
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sdt_ref
from sdt_ref import energy as command
from sdt_ref.cost.chunk import Stocktaker
from sdt_ref.jobs.job import Part
from sdt_ref.weights import file as weights_file
from tests import camera_bytes
from tests.networks import Network, weights_of
from tests.recordings import save, some_events
from tests.test_interrupt import ended_in

Capture = pytest.CaptureFixture[str]


def test_tables_of_published_figures(capsys: Capture) -> None:
    code, out, _ = run(capsys, "--published")
    assert code == 0
    assert re.search(r"sdt-8-512 +4.50 +0.40 +29.41 +0.139 +0.099 +5.8\d\n", out)
    assert re.search(r"sdt-8-768 +288 +31.89 +23% +146.70 *\n", out)
    assert re.search(r"768 +224 +196 +0.0171 +5.74 +4.5\n", out)
    code, out, _ = run(capsys, "--published", "--json")
    tables = json.loads(out)
    assert [len(tables[name]) for name in ("energies", "without_spikes", "ratios")] == [5, 10, 6]


def run(capsys: Capture, *arguments: object) -> tuple[int, str, str]:
    code = command.main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def picture(path: Path, seed: int = 0) -> Path:
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 40, 3), np.uint8)).save(path)
    return path


@pytest.mark.slow
def test_command_counts_pictures_of_a_folder_and_skips_unreadable_ones(tmp_path: Path, capsys: Capture) -> None:
    for k in range(3):
        picture(tmp_path / f"{k}.png", k)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    code, out, err = run(capsys, tmp_path, "--csv", tmp_path / "e.csv", "--plot", tmp_path / "e.png", "--memory")
    assert code == 1
    assert "3 pictures" in out
    assert "+-" in out
    assert "memory, 5 pJ per 32 bits" in out
    assert "nan" not in out.lower()
    assert err.startswith("unreadable broken.png")
    with Image.open(tmp_path / "e.png") as drawn:
        assert drawn.size[0] > 600
    assert (tmp_path / "e.csv").read_text().startswith("stage,kind,time_step,ac,")
    code, out, err = run(capsys, tmp_path, "--json", "--limit", 2)
    summary = json.loads(out)
    assert (summary["pictures"], code) == (2, 0)


def test_command_without_a_readable_picture_shows_no_table(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    code, out, err = run(capsys, tmp_path / "broken.png", "--plot", tmp_path / "e.png")
    assert (code, out) == (1, "")
    assert "unreadable" in err
    code, out, _ = run(capsys, tmp_path / "broken.png", "--json")
    assert code == 1
    assert len(json.loads(out)["unreadable"]) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["broken.png"]


def test_command_prints_the_official_statistic(tmp_path: Path, capsys: Capture) -> None:
    for k in range(3):
        picture(tmp_path / f"{k}.png", k)
    code, out, _ = run(capsys, tmp_path, "--official-statistic", "--batch", 2, "--json")
    assert code == 0
    table = json.loads(out)["firing_rate"]
    model = sdt_ref.load()
    from sdt_ref.inputs.image import open_picture, preprocess

    inputs = np.stack(
        [preprocess(open_picture(tmp_path / f"{k}.png", as_official=True), model.preprocessing) for k in range(3)]
    )
    rates = [
        model(part, record=True).spikes["MS_SPS_lif"].to_dense().mean(axis=(1, 2, 3, 4))
        for part in (inputs[:2], inputs[2:])
    ]
    assert [table[f"t{t}"]["MS_SPS_lif"] for t in range(4)] == pytest.approx((rates[0] + rates[1]).tolist())
    code, out, _ = run(capsys, tmp_path, "--official-statistic", "--batch", 2)
    assert "so each rate is 2.0000 times the true one" in out


def test_the_table_is_written_as_its_ending_says(tmp_path: Path, capsys: Capture) -> None:
    """And what is printed stays as it was; the sum is that of the screen and of JSON."""
    file = picture(tmp_path / "a.png")
    code, alone, _ = run(capsys, file)
    assert code == 0
    for ending, start in (("csv", "layer,firing_rate_t0,"), ("tex", "% One input at 32x32"), ("MD", "One input at")):
        target = tmp_path / f"t.{ending}"
        code, out, _ = run(capsys, file, "--table", target, "--csv", tmp_path / "counts.csv")
        assert (code, out) == (0, alone)
        assert target.read_text(encoding="utf-8").startswith(start)
        assert (tmp_path / "counts.csv").read_text().startswith("stage,kind,time_step,ac,")
    code, out, _ = run(capsys, file, "--json")
    told = json.loads(out)["picojoules"]
    *_, total = csv.DictReader((tmp_path / "t.csv").read_text().splitlines())
    assert float(total["energy_formula_pj"]) == pytest.approx(told["formula"]["mean"], rel=1e-12)
    assert float(total["energy_counted_pj"]) == pytest.approx(told["counted"]["mean"], rel=1e-12)
    by_count, by_formula = alone.split("all operations")[0].split("by the formula")
    for line in (tmp_path / "t.MD").read_text(encoding="utf-8").splitlines()[4:-2]:  # the layers
        name, *_, mean, ac, mac, formula, counted = line[2:-2].split(" | ")
        start = re.escape(name.removesuffix(" (Q + K)"))
        operations = f"{int(ac.replace(',', '')) + int(mac.replace(',', '')):,}"
        shown = re.search(rf"^{start} +(\S*) .*? {operations} .*?(\S+)$", by_count, re.MULTILINE)
        assert shown is not None, line
        assert shown[2] in (counted, "<0.001")
        if re.match(r"0\.", shown[1]):
            assert float(shown[1]) == pytest.approx(float(mean), abs=6e-4)
        assert re.search(rf"^{start} .* {formula}$", by_formula, re.MULTILINE)


def test_the_official_statistic_writes_the_files_too(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "data").mkdir()
    for k in range(3):
        picture(tmp_path / "data" / f"{k}.png", k)
    official = [tmp_path / "data", "--official-statistic", "--batch", 2]
    code, alone, _ = run(capsys, *official)
    files = ["--csv", tmp_path / "counts.csv", "--table", tmp_path / "t.csv"]
    assert run(capsys, *official, *files)[:2] == (code, alone) == (0, alone)
    counts = (tmp_path / "counts.csv").read_text()
    table = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    printed = json.loads(run(capsys, *official, "--json")[1])["firing_rate"]
    row = next(row for row in table if row["layer"] == "patch embedding: proj conv1")
    assert [float(row[f"official_firing_rate_t{t}"]) for t in range(4)] == [
        printed[f"t{t}"]["MS_SPS_lif"] for t in range(4)
    ]
    assert run(capsys, tmp_path / "data", *files)[0] == 0
    assert (tmp_path / "counts.csv").read_text() == counts  # raw counts do not depend on it
    own = next(r for r in csv.DictReader((tmp_path / "t.csv").read_text().splitlines()) if r["layer"] == row["layer"])
    assert own["sop_ac"] == row["sop_ac"]


def test_no_picture_is_lost(tmp_path: Path, capsys: Capture) -> None:
    file = picture(tmp_path / "a.png")
    before = file.read_bytes()
    for where in (tmp_path, file):
        for option in ("--csv", "--plot"):
            code, out, err = run(capsys, where, option, file)
            assert (code, out, err.count("\n")) == (2, "", 1)
            assert "it is an input of this command" in err
    code, _, err = run(capsys, file, "--csv", tmp_path / "z.png", "--plot", tmp_path / "z.png")
    assert code == 2
    assert "--csv and --plot: expected two files, found" in err
    code, _, err = run(capsys, file, "--csv", tmp_path / "z.csv", "--table", tmp_path / "." / "z.csv")
    assert code == 2
    assert "--csv and --table: expected two files, found" in err
    (tmp_path / "a.csv").symlink_to(file)
    code, _, err = run(capsys, file, "--table", tmp_path / "a.csv")
    assert code == 2
    assert "it is an input of this command" in err
    (tmp_path / "a.csv").unlink()
    assert file.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_values_of_one_s_own_may_be_zero_and_limits_huge(tmp_path: Path, capsys: Capture) -> None:
    zeros = [f"--pj={name}=0" for name in ("add", "multiply", "compare", "bit", "word")]
    code, out, _ = run(capsys, picture(tmp_path / "a.png"), *zeros, "--memory", "--limit", 10**20)
    assert code == 0
    assert "which is more than the formula" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--published", "--csv", "{}/x.csv"], "--published: expected neither --csv, --table nor --plot with it"),
        (["--published", "--table", "{}/x.tex"], "--published: expected neither --csv, --table nor --plot with it"),
        (["--table", "{}/x.txt"], "table '{}/x.txt': expected a name that ends in .csv, .tex, .md"),
        (["--table", "{}/x"], "table '{}/x': expected a name that ends in .csv, .tex, .md"),
        (["--table", "{}/none/x.md"], "cannot write '{}/none/x.md'"),
        (["--official-statistic", "--table", "{}/x.md"], "expected two batches at least, found 1"),
        (["--official-statistic", "--batch", "1", "--time-steps", "8"], "expected 4 time steps, found 8"),
        (["{}/none.png"], "picture '{}/none.png' does not exist"),
        (["{}"], "folder '{}': expected pictures"),
        (["--limit", "0"], "--limit: expected 1 or more, found 0"),
        (["--batch", "0"], "--batch: expected 1 or more, found 0"),
        (["--pj", "add"], "--pj: expected NAME=PJ such as add=0.05, found 'add'"),
        (["--pj", "add=nan"], "energy of 'add': expected picojoules, 0 to 1e+06, found nan"),
        (["--technology", "1nm"], "technology: expected one of 45nm-float32"),
        (["--plot", "{}/a.jpeg"], "expected a name that ends in .png, .svg, .pdf"),
        (["--plot", "{}/none/a.png"], "cannot write '{}/none/a.png'"),
        (["--csv", "{}"], "cannot write '{}': it is a folder"),
        (["--official-statistic"], "expected two batches at least, found 1"),
        (["--size", "30"], "expected height and width divisible by 4"),
        (["--weights", "{}/none.h5"], "weights file '{}/none.h5' does not exist"),
        (["--split", "x", "{}"], "expected a sub-folder 'x'"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_nothing_is_written(
    tmp_path: Path, capsys: Capture, arguments: list[str], message: str
) -> None:
    code, out, err = run(capsys, *(a.replace("{}", str(tmp_path)) for a in arguments))
    assert (code, out) == (2, "")
    assert message.replace("{}", str(tmp_path)) in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


# chunks


def stop_before(chunk: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """End the command before it counts this chunk, as Ctrl-C does in a program; returns the pictures of each it counts."""
    count = Stocktaker.count
    done: list[int] = []

    def stopping(taker: Stocktaker, inputs: Iterable[np.ndarray]) -> Part:
        if len(done) == chunk:
            raise KeyboardInterrupt
        part = count(taker, inputs)
        done.append(len(part.arrays["numbers"]))
        return part

    monkeypatch.setattr(Stocktaker, "count", stopping)
    return done


def some_pictures(folder: Path) -> list[object]:
    """Seven pictures, of which one cannot be read, tiny weights, and the arguments that name both."""
    weights_file.save(folder / "w.h5", weights_of(Network(time_steps=4, drive=1.0)))
    (folder / "data").mkdir()
    for number in range(7):
        picture(folder / "data" / f"{number}.png", number)
    (folder / "data" / "4.png").write_bytes(b"no picture")
    return [folder / "data", "--weights", folder / "w.h5", "--threads", 1]


@pytest.mark.parametrize("more", [["--json"], ["--memory"], ["--official-statistic", "--batch", 2, "--json"]])
def test_chunks_of_any_size_print_and_write_the_same(more: list[object], tmp_path: Path, capsys: Capture) -> None:
    data, found = some_pictures(tmp_path), set()
    for size in (1, 3, 64):
        files = [tmp_path / name for name in ("e.csv", "t.md")]
        printed = run(capsys, *data, *more, "--csv", files[0], "--table", files[1], "--chunk", size)
        found.add((*printed, *(file.read_bytes() for file in files)))
    assert len(found) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "e.csv", "t.md", "w.h5"]


@pytest.mark.parametrize("option", ["--csv", "--table", "--plot"])
def test_an_interrupted_run_goes_on_and_ends_at_the_same_bytes(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """The chunks may then have another size; what was finished is not computed again."""
    data = some_pictures(tmp_path)
    output = tmp_path / f"out.{'png' if option == '--plot' else 'csv'}"
    expected = *run(capsys, *data, "--json", option, output), output.read_bytes()
    output.unlink()
    with monkeypatch.context() as patched:
        stop_before(2, patched)
        code, out, err = run(capsys, *data, "--json", option, output, "--chunk", 2)
        assert (code, out, err) == (130, "", "interrupted\n")
    assert not output.exists()
    assert len([*(tmp_path / f"{output.name}.parts").glob("*.part")]) == 2
    rest = stop_before(-1, monkeypatch)
    assert (*run(capsys, *data, "--json", option, output, "--chunk", 3), output.read_bytes()) == expected
    assert sum(rest) == 2  # of the three that were left one cannot be read
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", output.name, "w.h5"]


def test_what_another_run_left_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    data, output = some_pictures(tmp_path), tmp_path / "e.csv"
    with monkeypatch.context() as patched:
        stop_before(2, patched)
        assert run(capsys, *data, "--csv", output, "--chunk", 2)[0] == 130
    parts = sorted((tmp_path / "e.csv.parts").iterdir())
    weights_file.save(tmp_path / "v.h5", weights_of(Network(time_steps=4, seed=9)))
    for others, words in (
        (["--pj", "add=1"], "found one of other settings (technology "),
        (["--arithmetic", "fixed"], "(technology "),
        (["--official-statistic", "--batch", 2], "found one of other settings (official False, not True); remove it"),
        (["--limit", 6], "found one of other data; remove it, or choose another output"),
        (["--weights", tmp_path / "v.h5"], "found one of other weights; remove it, or choose another output"),
    ):
        code, out, err = run(capsys, *data, *others, "--csv", output)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert f"folder '{output}.parts': expected this run" in err
        assert words in err
    assert sorted((tmp_path / "e.csv.parts").iterdir()) == parts
    assert not output.exists()
    assert run(capsys, *data, "--csv", output, "--threads", 2)[0] == 1  # the same run, with a picture that is none
    assert output.exists()


def test_a_run_that_what_it_was_given_fails_leaves_nothing(tmp_path: Path, capsys: Capture) -> None:
    data = some_pictures(tmp_path)
    before = sorted(tmp_path.iterdir())
    for wrong, words in (
        (["--size", 10], "expected height and width divisible by"),
        (["--threads", 0], "threads: expected 1 to"),
        (["--official-statistic", "--time-steps", 5], "expected 4 time steps, found 5"),
        (["--official-statistic"], "expected two batches at least, found 1"),
        (["--chunk", 0], "--chunk: expected 1 or more, found 0"),
    ):
        code, out, err = run(capsys, *data, *wrong, "--csv", tmp_path / "e.csv", "--plot", tmp_path / "e.png")
        assert (code, out) == (2, "")
        assert words in err.splitlines()[-1]
    assert sorted(tmp_path.iterdir()) == before


def test_frames_of_another_number_than_the_first_are_unreadable_whichever_the_chunks(
    tmp_path: Path, capsys: Capture
) -> None:
    save(tmp_path / "w.h5")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "0.npz").write_bytes(b"broken")
    rng = np.random.default_rng(0)
    for number, T in enumerate((6, 4, 6, 6), 1):
        np.savez(tmp_path / "data" / f"{number}.npz", frames=rng.integers(0, 3, (T, 2, 34, 34)).astype(np.float32))
    (tmp_path / "data" / "5.bin").write_bytes(camera_bytes.nmnist(some_events()))
    found = [
        run(capsys, tmp_path / "data", "--weights", tmp_path / "w.h5", "--json", "--chunk", size) for size in (1, 2, 64)
    ]
    code, out, _ = found[0]
    assert found == [found[0]] * 3
    told = json.loads(out)
    assert (code, told["pictures"], told["time_steps"]) == (1, 3, 6)
    assert [each["name"] for each in told["unreadable"]] == ["0.npz", "2.npz", "5.bin"]
    assert told["unreadable"][1]["reason"] == "recording '2.npz': expected 6 frames, as before, found 4"


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("'--csv', 'e.csv'", "the same command goes on there"),
        ("'--json'", "with --csv F.csv it could go on there"),
    ],
)
def test_ctrl_c_says_how_far_it_came(more: str, words: str, tmp_path: Path) -> None:
    arguments = [str(word) for word in some_pictures(tmp_path)]
    code = f"""
from sdt_ref import energy
from sdt_ref.cost.chunk import Stocktaker
count, calls = Stocktaker.count, []
def stopping(*given):
    calls.append(given)
    return obey() if len(calls) == 3 else count(*given)
Stocktaker.count = stopping
os.chdir(sys.argv[2])
energy.main([*{arguments}, '--chunk', '2', {more}])
"""
    assert ended_in(tmp_path, "SIGINT", code) == (130, "", f"interrupted after 4 of 7; {words}\n")
    left = [path.name for path in (tmp_path / "work").iterdir()]
    assert left == (["e.csv.parts"] if "csv" in more else [])
