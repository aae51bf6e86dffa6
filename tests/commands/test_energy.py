"""`energy`: what it prints and writes, where, and with which exit code."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sdt_ref
from sdt_ref import energy as command

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
