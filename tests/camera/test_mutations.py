"""12,000 damaged files: each is refused in one line, or gives what a plain reader finds in it, with every repair told."""

import io
import random
import re
import struct
from collections import Counter

import h5py
import numpy as np
import pytest

from sdt_ref.camera.opening import is_recording, open_recording
from sdt_ref.errors import RecordingError
from tests import camera_bytes as made
from tests import prophesee_bytes as prophesee
from tests.camera_bytes import Event, listed
from tests.prophesee_bytes import PLAIN, WORDS

CUT = "incomplete record at the end left out"
FILES = 1_500  # of each kind of Prophesee's
OF_HDF5 = 1_000  # of each layout


def some_events(n: int = 40) -> list[Event]:
    rng = np.random.default_rng(n)
    t = 5_000_000 + np.cumsum(rng.integers(0, 3000, n))
    return list(zip(t.tolist(), *(rng.integers(0, side, n).tolist() for side in (640, 480, 2)), strict=True))


def mutated(content: bytes, rng: random.Random) -> bytes:
    """One bit turned; or bits turned, bytes replaced, lost or put in, or the end cut off, once to four times."""
    changed = bytearray(content)
    if rng.randrange(2):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        return bytes(changed)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(changed) + 1)
        few = bytes(rng.choice([0, 255, rng.randrange(256)]) for _ in range(rng.randint(1, 8)))
        match rng.randrange(8):
            case 0 | 1 | 2 if at < len(changed):
                changed[at] ^= 1 << rng.randrange(8)
            case 3 | 4:
                changed[at : at + len(few)] = few
            case 5:
                del changed[at : at + len(few)]
            case 6:
                changed[at:at] = few
            case _:
                del changed[at + len(changed) // 4 :]
    return bytes(changed)


# --- Prophesee --------------------------------------------------------------------------------------------------------


def plain_header(content: bytes) -> tuple[dict[str, str], int]:
    """Keywords and values of the lines of text that begin with %, and where they end."""
    said: dict[str, str] = {}
    at = 0
    while content[at : at + 1] == b"%":
        line, newline, _ = content[at:].partition(b"\n")
        text = line.removesuffix(b"\r") if newline else line
        if any((byte < 32 and byte != 9) or byte == 127 for byte in text):
            break
        at += len(line) + len(newline)
        keyword, _, value = text[1:].decode("ascii", "replace").strip().partition(" ")
        if keyword.lower() == "end" and not value.strip():
            break
        said[keyword.lower()] = value.strip()
        for part in value.split(";")[1:] if keyword.lower() == "format" else ():
            key, _, option = part.partition("=")
            said[key.strip().lower()] = option.strip()
    return said, at


def plain_words(body: bytes, kind: str) -> list[int]:
    size = struct.calcsize(kind)
    return [struct.unpack_from(kind, body, at)[0] for at in range(0, len(body) - size + 1, size)]


def plainly(content: bytes) -> tuple[list[Event], Counter[str]]:
    said, at = plain_header(content)
    version = {"2": "2.0", "3": "3.0"}.get(said.get("evt", ""), said.get("evt"))
    version = version or {"EVT2": "2.0", "EVT21": "2.1", "EVT3": "3.0"}.get(said.get("format", "").split(";")[0])
    kind = WORDS[version] if version else "<Q"
    at += 0 if version else 2
    body = content[at:]
    words = plain_words(body, kind.replace("<", ">") if said.get("endianness") == "big" else kind)
    if version == "2.1" and said.get("endianness") in (None, "legacy"):
        turned = [word >> 32 | (word & 0xFFFF_FFFF) << 32 for word in words]
        legacy = sum(word >> 28 == 8 for word in words) > sum(word >> 28 == 8 for word in turned)
        words = turned if legacy or "endianness" in said else words
    events, repairs = PLAIN[version](words) if version else prophesee.plain_dat(words)
    if not version:
        events, repairs = with_polarities(events, repairs)
    return within(events, repairs, said, len(body) % struct.calcsize(kind))


def with_polarities(events: list[Event], repairs: Counter[str]) -> tuple[list[Event], Counter[str]]:
    names = sorted({p for *_, p in events})
    if len(names) == 1:
        repairs[f"polarities that are all {names[0]} taken as {'ON' if names[0] else 'OFF'}"] = len(events)
    elif names not in ([], [0, 1]):
        repairs[f"polarities {names[0]} and {names[1]} taken as OFF and ON"] = len(events)
    return [(t, x, y, int(p == (1 if len(names) == 1 else names[-1]))) for t, x, y, p in events], repairs


def within(
    events: list[Event], repairs: Counter[str], said: dict[str, str], rest: int
) -> tuple[list[Event], Counter[str]]:
    if rest:
        repairs[CUT] = 1
    width, _, height = said.get("geometry", f"{said.get('width', '65536')}x{said.get('height', '65536')}").partition(
        "x"
    )
    inside = [event for event in events if event[1] < int(width) and event[2] < int(height)]
    if len(inside) < len(events):
        repairs[f"events beyond the {int(width)}x{int(height)} sensor left out"] = len(events) - len(inside)
    return inside, repairs


def evt21_legacy(events: list[Event]) -> bytes:
    head, _, body = prophesee.evt21(events).partition(b"% end\n")
    turned = b"".join(body[at + 4 : at + 8] + body[at : at + 4] for at in range(0, len(body), 8))
    return head.replace(b"little", b"legacy") + b"% end\n" + turned


SEEDS = {
    "EVT 2.0": prophesee.evt2,
    "EVT 2.1": prophesee.evt21,
    "EVT 2.1, legacy": evt21_legacy,
    "EVT 3.0": prophesee.evt3,
    "EVT 3.0 of a sensor": lambda events: prophesee.evt3(events).replace(b"% end", b"% geometry 600x400\n% end"),
    "DAT": lambda events: prophesee.dat(events, "Width 640", "Height 480"),
}


@pytest.mark.campaign
@pytest.mark.parametrize("kind", SEEDS)
def test_damaged_files_of_prophesee(kind: str) -> None:
    rng = random.Random(kind)
    seed = SEEDS[kind](some_events())
    assert plainly(seed)[0] == listed(open_recording(seed))
    ends = len(seed) - len(seed.split(b"% end\n")[-1]) if b"% end" in seed else seed.index(b"\x0c\x08")
    read = 0
    for i in range(FILES):
        # two in three keep their header
        content = mutated(seed, rng) if i % 3 == 0 else seed[:ends] + mutated(seed[ends:], rng)
        is_recording(content)
        try:
            recording = open_recording(content)
            events = listed(recording)
        except RecordingError as error:
            assert "\n" not in str(error)  # noqa: PT017 - most contents are read
            continue
        assert (events, recording.repairs) == plainly(content), content
        read += 1
    assert read > (FILES // 4 if kind == "DAT" else FILES // 2)  # of DAT, every other bit of polarities is a third


# --- HDF5 -------------------------------------------------------------------------------------------------------------

LAYOUTS: dict[str, dict[str, object]] = {
    "as it is": {},
    "gzip": {"compression": "gzip", "shuffle": True, "chunks": (16,)},
    "checked": {"fletcher32": True, "chunks": (16,)},
}


def hdf5(version: str, settings: dict[str, object]) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w", libver=version) as file:
        for name, column in made.columns(some_events()).items():
            kind = {"t": "u4", "x": "u2", "y": "u2", "p": "u1"}[name]
            file.create_dataset(f"events/{name}", data=column.astype(kind), **settings)
        file["t_offset"] = np.int64(7)
    return stream.getvalue()


def plainly_of_hdf5(content: bytes) -> tuple[list[Event], Counter[str]]:
    with h5py.File(io.BytesIO(content), "r") as file:
        # the damage may be in a name: signs and capitals make no other one, and a group is called anything
        plain = [group for group in file.values() if isinstance(group, h5py.Group)]
        groups = [{"".join(re.findall("[a-z]", name.lower())): group[name] for name in group} for group in plain]
        (columns,) = (group for group in groups if set("txyp") <= set(group))
        t, x, y, p = (columns[name][:].tolist() for name in "txyp")
        offset = int(file["t_offset"][()]) if "t_offset" in file else 0
    events = [(t + offset, x, y, p) for t, x, y, p in zip(t, x, y, p, strict=True)]
    return within(*with_polarities(events, Counter()), {}, 0)


@pytest.mark.campaign
@pytest.mark.parametrize("version", ["earliest", "latest"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_damaged_files_of_hdf5(layout: str, version: str) -> None:
    """HDF5 itself must not crash either; what it checks by no sum, it gives as it stands, and so do we."""
    rng = random.Random(layout + version)
    seed = hdf5(version, LAYOUTS[layout])
    assert plainly_of_hdf5(seed)[0] == listed(open_recording(seed))
    read = 0
    for _ in range(OF_HDF5):
        content = mutated(seed, rng)
        is_recording(content)
        try:
            recording = open_recording(content)
            events = listed(recording)
        except RecordingError as error:
            assert "\n" not in str(error)  # noqa: PT017 - some contents are read
            continue
        assert (events, recording.repairs) == plainly_of_hdf5(content), content
        read += 1
    assert read > (OF_HDF5 // 10 if layout == "as it is" else 0)  # sums refuse nearly all of the others
