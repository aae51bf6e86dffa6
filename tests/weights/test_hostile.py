"""Hostile checkpoints, settings and class names: one line of error or the right network, in bounded memory and steps."""

import io
import json
import os
import pickletools
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sdt_ref import ConfigError, SdtError, WeightsError, convert
from sdt_ref.weights import pickled
from sdt_ref.weights.checkpoint import convert as convert_checkpoint
from sdt_ref.weights.settings import SETTINGS as NAMES
from sdt_ref.weights.settings import parse_setting
from tests.equality import assert_same
from tests.weights import checkpoint_bytes as made
from tests.weights.hostile_checkpoints import CASES, HEAVY, READ

HANG = 300  # seconds after which a child is killed; nothing is measured by it
LIGHT = [name for name in CASES if not any(word in name for word in HEAVY)]


def outcomes(folder: Path, files: dict[str, Callable[[], bytes]]) -> dict[str, dict[str, object]]:
    """What comes of each file, in a process of 4 GB."""
    found: dict[str, dict[str, object]] = {}
    for first in range(0, len(files), 40):
        names = list(files)[first : first + 40]
        for at, name in enumerate(names):
            (folder / f"{at}.pth").write_bytes(files[name]())
        paths = [str(folder / f"{at}.pth") for at in range(len(names))]
        command = [sys.executable, "-m", "tests.weights.converting", *paths]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=HANG, check=False)
        lines = [json.loads(line) for line in ran.stdout.splitlines()]
        assert [line["path"] for line in lines] == paths, (names[len(lines)], ran.returncode, ran.stderr[-500:])
        assert ran.stderr == ""
        found |= dict(zip(names, lines, strict=True))
    return found


def assert_refused_or_read(found: dict[str, dict[str, object]]) -> None:
    for name, outcome in found.items():
        if name in READ:
            assert outcome.get("tensors") == len(made.NETWORK), (name, outcome)
        else:
            message = outcome.get("refused")
            assert isinstance(message, str), (name, outcome)
            assert message.isprintable(), name
            assert len(message) <= 1000, name


@pytest.mark.slow
def test_small_files_that_claim_much(tmp_path: Path) -> None:
    assert_refused_or_read(outcomes(tmp_path, {name: CASES[name] for name in LIGHT}))


@pytest.mark.campaign
@pytest.mark.parametrize("name", [name for name in CASES if name not in LIGHT])
def test_files_that_claim_all_that_they_can(tmp_path: Path, name: str) -> None:
    assert_refused_or_read(outcomes(tmp_path, {name: CASES[name]}))


def written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "c.pth"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_all_tensors_in_one_storage_are_read_and_it_once(
    tmp_path: Path, compression: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors, stored = made.arranged(shared=True)
    path = written(tmp_path, made.archive(made.checkpoint(tensors), stored, compression))
    opened: list[str] = []
    original = zipfile.ZipFile.open
    monkeypatch.setattr(
        zipfile.ZipFile, "open", lambda self, info, *how: opened.append(info.filename) or original(self, info, *how)
    )
    weights = convert_checkpoint(path).weights
    assert opened == ["c/data.pkl", "c/data/0"]
    assert list(weights.tensors) == list(made.NETWORK)
    for name, tensor in made.NETWORK.items():
        assert_same(weights.tensors[name], tensor, name)


def test_a_view_is_checked_too(tmp_path: Path) -> None:
    """Each storage is read whole, so that its checksum is compared wherever a tensor begins."""
    tensors, stored = made.arranged(shared=True)
    content = bytearray(made.archive(made.checkpoint(tensors), stored))
    content[content.index(stored["0"]) + 4] ^= 1
    with pytest.raises(WeightsError, match="Bad CRC-32"):
        convert_checkpoint(written(tmp_path, bytes(content)))


def test_steps_are_opcodes_and_what_one_copies() -> None:
    content = made.dict_of((made.number(at), b"N") for at in range(100))
    program = b"\x80\x02" + made.name("collections", "OrderedDict") + content + b"\x85R."
    steps = len(list(pickletools.genops(program))) + 100
    assert pickled.read_pickle(io.BytesIO(program), lambda saved: saved, steps) == dict.fromkeys(range(100))
    with pytest.raises(ValueError, match=f"more than {steps - 1} steps"):
        pickled.read_pickle(io.BytesIO(program), lambda saved: saved, steps - 1)


KINDS: dict[str, bytes] = {
    "a tensor": made.tensor(made.storage("0", 2), (2,), (1,)), "NaN": made.plain(float("nan")), "infinity": made.plain(float("-inf")),
    "a list": made.plain([1, [2]]), "a dictionary": made.plain({"a": 1}), "bytes": b"C\x02ab", "a name": made.name("torch", "float16"), "an array of bytes": b"\x96" + bytes([3] + 7 * [0]) + b"abc",
    "a huge number": made.number(1 << 40_000), "ESC": made.text("\x1b]0;x\x07\n\u202e"), "half a character": made.text("\ud800"), "1 MB": made.text("x" * 2**20),
    "a storage": made.storage("0", 2), "a mark": b"(p7\n0g7\n", "an object": made.call("a", "B", made.text("\x1b[31m")), "a tuple": made.plain(()), "no tensor": made.call("torch._utils", "_rebuild_tensor_v2"),
    "an OrderedDict": made.call("collections", "OrderedDict"), "-1": made.plain(-1), "truth": made.plain(True),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_any_value_where_a_setting_a_fact_or_a_tensor_is_meant(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    value, out = KINDS[kind], tmp_path / "w.h5"
    programs = [made.checkpoint(args={name: value}) for name in NAMES]
    programs += [
        made.checkpoint(others={name: value})
        for name in ("epoch", "metric", "arch", "args", "state_dict", "model", "x")
    ]
    programs += [made.checkpoint({name: value}) for name in ("head.bias", "patch_embed.proj_conv.weight", "x")]
    programs += [b"\x80\x02" + value + b"."]
    programs += [
        b"\x80\x02" + made.dict_of([(value, value), (made.text("args"), made.dict_of([(value, value)]))]) + b"."
    ]
    programs += [
        made.checkpoint(
            others={
                "args": made.dict_of(
                    [(value, value), *((made.text(k), made.plain(v)) for k, v in made.SETTINGS.items())]
                )
            }
        )
    ]
    state = made.dict_of((made.text(k), v) for k, v in made.arranged()[0].items())
    programs += [b"\x80\x02" + made.dict_of([(value, state), (made.text("args"), made.plain(made.SETTINGS))]) + b"."]
    for program in programs:
        path = written(tmp_path, made.archive(program))
        for how in ([], ["--json"]):
            code = convert.main([str(path), str(out), *how])
            printed = capsys.readouterr()
            assert code in (0, 2)
            assert printed.err.count("\n") == (code == 2)
            assert (printed.err + printed.out).replace("\n", "").isprintable()
            assert len(printed.err) < 1100
            assert out.exists() == (code == 0)
            out.unlink(missing_ok=True)


YAML: dict[str, str] = {
    "an integer of 5,000 digits": "time_steps: 0x" + "f" * 5000, "a decimal of 5,000 digits": "time_steps: " + "9" * 5000, "a key of 5,000 digits": "0x" + "f" * 5000 + ": 1\ntime_steps: x",
    "an octal name": "dataset: 0" + "7" * 6000, "laughs": "a: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)) + "dataset: *a29\n",
    "laughs that are merged": "a0: &a0 {k: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}], b{n}: 1}}\n" for n in range(1, 30)) + "time_steps: x",
    "a pair of laughs": "".join(f"{c}0: &{c}0 [x]\n" + "".join(f"{c}{n}: &{c}{n} [{', '.join([f'*{c}{n - 1}'] * 9)}]\n" for n in range(1, 15)) for c in "ab") + "img_size: [*a14, *b14]\n",
    "a list in itself": "dataset: &a [*a]", "settings in themselves": "&a {dataset: *a}", "deep": "a: " + "[" * 20_000, "deep blocks": "- " * 20_000, "a date": "dataset: 2023-07-04", "no date": "dataset: 2023-99-99",
    "a set": "!!set {a, b}", "a set for a name": "dataset: !!set {a}", "bytes": "dataset: !!binary aGk=", "no bytes": "dataset: !!binary '\u00e9'", "a tag": "dataset: !!python/object/apply:os.system [true]", "a long tag": "a: !" + "x" * 60_000,
    "no number": "a: !!int x", "no truth": "a: !!bool x", "no time": "a: !!timestamp x", "a large float in base 60": "a: 1" + ":1" * 400 + ".5", "keys that are lists": "? [a, b]\n: 1", "ESC": "dataset: \x1b[31m",
    "an escaped ESC": 'dataset: ["\\e[31m\\a\\n"]', "an escaped name": '"\\e[31m": 1\ntime_steps: x', "NaN": "mean: [.nan, 1, 1]", "infinity": "crop_pct: .inf", "two documents": "a: 1\n---\nb: 1", "an unknown anchor": "a: *b", "too long": "#" * 70_000,
    "colliding keys": "".join(f"{n * (2**61 - 1)}: 0\n" for n in range(1, 2500)) + "time_steps: x", "no mapping": "[1]", "an omap": "dataset: !!omap [a: 1]", "a name of 200 letters": "dataset: " + "x" * 200,
}  # fmt: skip


@pytest.mark.parametrize("name", YAML)
def test_hostile_yaml_is_refused_in_one_line(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("yaml")
    path, config, out = written(tmp_path, made.archive(made.checkpoint())), tmp_path / "c.yml", tmp_path / "w.h5"
    config.write_text(YAML[name], encoding="utf-8")
    with pytest.raises(ConfigError):
        convert_checkpoint(path, config=config)
    assert convert.main([str(path), str(out), "--config", str(config)]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert printed[:-1].isprintable()
    assert not out.exists()


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-1", "9" * 5000, "9" * 4000, "[" * 900 + "]" * 900, "\x1b[31m\x07", '{"a": 1}', "[[1], [1]]", "1e999"])  # fmt: skip
def test_hostile_settings_of_the_command_line(tmp_path: Path, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, made.archive(made.checkpoint()))
    for name in NAMES:
        settings = dict([parse_setting(f"{name}={value}")])
        code = convert.main([str(path), str(tmp_path / "w.h5"), "--set", f"{name}={value}", "--json"])
        printed = capsys.readouterr()
        assert (code, printed.err.count("\n")) in ((0, 0), (2, 1)), settings.keys()
        assert printed.err.rstrip("\n").isprintable()


PLACES = ("a folder", "a pipe", "/dev/zero", "a loop", "/dev/stdin")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_plain_file_is_refused_at_once(
    tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sound, odd, out = written(tmp_path, made.archive(made.checkpoint())), tmp_path / "odd", tmp_path / "w.h5"
    if place == "a folder":
        odd.mkdir()
    elif place == "a pipe":
        os.mkfifo(odd)
    elif place == "a loop":
        odd.symlink_to(odd)
    else:
        odd = Path(place)
    for arguments in ([odd], [sound, "--config", odd], [sound, "--classes", odd]):
        if place == "/dev/stdin" and odd.is_file():
            continue  # as the tests' own input is one
        line = [str(arguments[0]), str(out), *map(str, arguments[1:])]
        assert convert.main(line) == 2, arguments
        assert capsys.readouterr().err.count("\n") == 1
        assert not out.exists()


def test_more_text_than_class_names_have(tmp_path: Path) -> None:
    path, classes = written(tmp_path, made.archive(made.checkpoint())), tmp_path / "names.txt"
    classes.write_text("x\n" * (1 << 20))
    with pytest.raises(ConfigError, match="expected a text of at most 1,048,576 bytes"):
        convert_checkpoint(path, classes=classes)


def damaged(rng: random.Random, content: bytes) -> bytes:
    """Bytes flipped, doubled, left out or made of opcodes."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        at, length = rng.randrange(len(changed)), rng.choice((1, 1, 2, 8, 100))
        piece = {
            "flip": bytes(rng.randrange(256) for _ in range(length)), "opcodes": bytes(rng.choices(b"02(t]}aeusRbcjhqrQ.\x85\x86\x87\x81\x93\x94", k=length)),
            "double": bytes(changed[at : at + length]) * 2, "cut": b"", "edge": rng.choice((b"\xff" * 4, b"\0" * 4, b"\xff\xff\xff\x7f", b"\xff" * 8)),
        }[rng.choice(("flip", "opcodes", "double", "cut", "edge"))]  # fmt: skip
        changed[at : at + length] = piece
        changed = changed or bytearray(b"x")
    return bytes(changed)


def any_file(rng: random.Random) -> bytes:
    """A sound file, damaged in its pickle, its tensors' descriptions, its archive or its header."""
    kind = rng.choice(("pickle", "pickle", "archive", "legacy", "safetensors"))
    program = made.checkpoint()
    if kind == "pickle":
        return made.archive(damaged(rng, program), compression=rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))
    if kind == "archive":
        return damaged(rng, made.archive(program, compression=rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))))
    if kind == "legacy":
        return damaged(rng, made.legacy(program))
    content = {k: {"dtype": "F32", "shape": list(v.shape)} for k, v in made.NETWORK.items()}
    ends = np.cumsum([0, *(v.nbytes for v in made.NETWORK.values())]).tolist()
    for entry, first, last in zip(content.values(), ends[:-1], ends[1:], strict=True):
        entry["data_offsets"] = [first, last]
    header = json.dumps(content).encode()
    return made.safetensors(damaged(rng, header), bytes(ends[-1]), rng.choice((None, None, rng.randrange(2**64))))


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.campaign) for seed in range(1, 20))])
def test_damaged_files_are_refused_in_one_line_or_read_right(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    read, messages = 0, []
    for _ in range(300):
        path = written(tmp_path, any_file(rng))
        try:
            weights = convert_checkpoint(path, settings=made.SETTINGS).weights
        except SdtError as error:
            messages.append(str(error))
        else:
            read += 1
            assert set(weights.tensors) == set(made.NETWORK)
    assert read < 300
    assert all(message.isprintable() and len(message) <= 1000 for message in messages)
