"""Prophesee's RAW and DAT: words by hand, any words as a plain decoder reads them, real recordings, and what is refused."""

import io
import struct
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdt_ref import errors
from sdt_ref.camera import evt_words
from sdt_ref.camera.opening import is_recording, open_recording
from sdt_ref.camera.recording import CHUNK, survey
from tests import camera_bytes as made
from tests import prophesee_bytes as prophesee
from tests.camera_bytes import Event, listed
from tests.prophesee_bytes import (
    EARLY,
    PLAIN,
    UNKNOWN,
    base3,
    cd2,
    cd21,
    header,
    high2,
    high3,
    high21,
    low3,
    pixel3,
    raw,
    row3,
    vector8,
    vector12,
)

CUT = "incomplete record at the end left out"
EVENTS = [(70, 1, 2, 1), (80, 3, 4, 0), (90_000, 33, 6, 1)]
FILES = {"EVT 2.0": prophesee.evt2, "EVT 2.1": prophesee.evt21, "EVT 3.0": prophesee.evt3, "DAT": prophesee.dat}


def refused(content: bytes) -> str:
    with pytest.raises(errors.RecordingError) as caught:
        listed(open_recording(content, "r"))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("recording 'r'")
    return str(caught.value)


# --- bytes by hand ----------------------------------------------------------------------------------------------------


def test_evt2_literal() -> None:
    """The first word tells 1 * 64 us; in the next, 0001 000001 00000010100 00000001010 is ON, 1 us, x 20, y 10."""
    body = bytes.fromhex("01000080 0aa04010 0aa04000 02000080 ffffff0f")
    assert listed(open_recording(header("2.0") + body)) == [
        (64 + 1, 20, 10, 1),
        (64 + 1, 20, 10, 0),
        (128 + 63, 2047, 2047, 0),
    ]


def test_evt21_literal() -> None:
    """The half with the kind comes second; first where the header says so: both spell pixels 32, 33 and 63 of row 7."""
    high, word, valid = bytes.fromhex("02000080"), bytes.fromhex("07004110"), bytes.fromhex("03000080")
    expected = [(128 + 1, 32, 7, 1), (128 + 1, 33, 7, 1), (128 + 1, 63, 7, 1)]
    little = bytes(4) + high + valid + word
    legacy = high + bytes(4) + word + valid
    for body, *lines in [
        (little, "format EVT21;endianness=little;height=720;width=1280"),
        (legacy, "format EVT21;height=720;width=1280;endianness=legacy"),
        (little,),
        (legacy,),  # the words of time tell
    ]:
        assert listed(open_recording(header("2.1", *lines) + body)) == expected


def test_evt3_literal() -> None:
    body = struct.pack("<11H", 0x8001, 0x6064, 0x0005, 0x2807, 0x3080, 0x4801, 0x5083, 0x2008, 0x6065, 0x0806, 0x2009)
    t = 4096 + 100
    assert listed(open_recording(header("3.0") + body)) == [
        (t, 7, 5, 1),
        (t, 128, 5, 0),
        (t, 139, 5, 0),
        (t, 140, 5, 0),
        (t, 141, 5, 0),
        (t, 147, 5, 0),
        (t, 8, 5, 0),
        (t + 1, 9, 6, 0),  # of the second camera of two, whose row is 6 all the same
    ]


def test_dat_literal() -> None:
    body = bytes.fromhex("0c08 64000000 19000210 ffffffff 4b001900".replace(" ", ""))
    recording = open_recording(b"% Data file containing CD events\n% Version 2\n% Width 640\n% Height 480\n" + body)
    assert listed(recording) == [(100, 25, 8, 1), (2**32 - 1, 75, 100, 0)]
    assert (recording.format, recording.sensor) == ("DAT", (640, 480))


# --- words that tell no event, or too late ----------------------------------------------------------------------------


def told(version: str, words: Sequence[int]) -> tuple[list[Event], dict[str, int]]:
    recording = open_recording(raw(version, words))
    return listed(recording), dict(recording.repairs)


def test_triggers_and_others_are_skipped_and_unknown_words_counted() -> None:
    event = cd2(1, 8, 3, 0)
    assert told("2.0", [high2(0), event, 0xA000_0001, 0xE000_0000, 0xF000_0000, event]) == ([(1, 8, 3, 0)] * 2, {})
    assert told("2.0", [high2(0), event, 0x2000_0000, 0x7000_0000, event]) == ([(1, 8, 3, 0)] * 2, {UNKNOWN: 2})
    event = cd21(1, 8, 3, 0)
    assert told("2.1", [high21(0), event, 0xA << 60, 0xE << 60, 0x9 << 60, event]) == ([(1, 8, 3, 0)] * 2, {UNKNOWN: 1})
    words = [high3(0), low3(1), row3(3), pixel3(8, 0), 0xA001, 0xE123, 0x7001, 0xF001, 0x1001, 0x9000, pixel3(8, 0)]
    assert told("3.0", words) == ([(1, 8, 3, 0)] * 2, {UNKNOWN: 2})


def test_events_before_their_time_or_pixel_is_told_are_left_out_and_counted() -> None:
    assert told("2.0", [cd2(1, 1, 1, 1), high2(64), cd2(2, 2, 2, 0)]) == ([(66, 2, 2, 0)], {EARLY: 1})
    assert told("2.1", [cd21(1, 1, 1, 1, 7), high21(64), cd21(2, 2, 2, 0)]) == ([(66, 2, 2, 0)], {EARLY: 3})
    row, pixel, vector = row3(5), pixel3(9, 1), [base3(7, 1), vector12(3)]
    time = [high3(4096), low3(3)]
    expected = [(4099, 9, 5, 1)]
    assert told("3.0", [row, pixel, *vector, *time, row, pixel]) == (expected, {EARLY: 3})
    assert told("3.0", [*time, pixel, *vector, row, pixel]) == (expected, {EARLY: 3})
    assert told("3.0", [*time, row, vector12(3), vector8(1), pixel]) == (expected, {EARLY: 3})
    assert told("3.0", [low3(3), high3(4096), row, pixel]) == ([(4096, 9, 5, 1)], {})


def test_times_run_over_and_go_on() -> None:
    last = (1 << 34) - 1
    for version, high, cd in [("2.0", high2, cd2), ("2.1", high21, cd21)]:
        words = [high(last), cd(last, 1, 1, 1), high(0), cd(5, 2, 2, 0), high(last), cd(last, 3, 3, 0), high(0), cd(1, 4, 4, 0)]  # fmt: skip
        assert [t for t, *_ in told(version, words)[0]] == [last, last + 6, 2 * last + 1, 2 * last + 3]
    top = (1 << 24) - 1
    words = [row3(1), high3(top), low3(top), pixel3(1, 1), high3(0), low3(5), pixel3(2, 0), high3(1 << 23), pixel3(3, 0),
             high3(top), pixel3(4, 0), high3(4096), pixel3(5, 0)]  # fmt: skip
    times = [top, top + 6, top + 1 + (1 << 23), 2 * top + 2 - 4096, 2 * (top + 1) + 4096]
    assert [t for t, *_ in told("3.0", words)[0]] == times
    half = [row3(1), high3(1 << 23), pixel3(1, 1), high3(0), pixel3(1, 1), high3((1 << 23) - 1), high3(0), pixel3(1, 1)]
    assert [t for t, *_ in told("3.0", half)[0]] == [
        1 << 23,
        1 << 24,
        1 << 24,
    ]  # a fall by half is the least that is a lap


def test_low_times_of_evt3_may_run_backwards_but_never_run_over_alone() -> None:
    """Several sources of a camera share a high time; expelliarmus takes each step back for 4,096 us."""
    words = [high3(4096), row3(1)] + [word for low in (811, 800, 811) for word in (low3(low), pixel3(7, 1))]
    assert [t for t, *_ in told("3.0", words)[0]] == [4907, 4896, 4907]
    again = [
        high3(4096),
        low3(9),
        row3(1),
        high3(4096),
        pixel3(7, 1),
        high3(8192),
        pixel3(7, 1),
        high3(4096),
        pixel3(7, 1),
    ]
    assert [t for t, *_ in told("3.0", again)[0]] == [4105, 8192, 4096]


def test_vectors_go_on_beyond_the_sensor() -> None:
    words = [high3(0), low3(0), row3(1), base3(2040, 1), vector12(0xFFF), vector8(0xFFF), vector12(0)]
    recording = open_recording(raw("3.0", words, "geometry 2048x2048"))
    assert [x for _, x, *_ in listed(recording)] == list(range(2040, 2048))
    assert recording.repairs == {"events beyond the 2048x2048 sensor left out": 12}


def test_one_word_of_an_event_contradicts_no_header() -> None:
    """Its valid bits, 0x80000000, would be a word of time in the other order."""
    word = struct.pack("<Q", 0x8000_0000)
    assert listed(
        open_recording(header("2.1", "format EVT21;endianness=little") + struct.pack("<II", 0, high2(0)) + word)
    )
    assert not listed(open_recording(header("2.1", "format EVT21;endianness=little") + word))


@pytest.mark.parametrize("version", PLAIN)
@given(data=st.data())
def test_any_words_are_read_as_one_after_the_other(version: str, data: st.DataObject) -> None:
    bits = 8 * struct.calcsize(prophesee.WORDS[version])
    kinds = [0, 2, 3, 4, 5, 6, 8, 9, 14] if version == "3.0" else [0, 1, 8, 8, 9, 14]
    word = st.builds(
        lambda kind, rest: kind << bits - 4 | rest, st.sampled_from(kinds), st.integers(0, 2 ** (bits - 4) - 1)
    )
    words = data.draw(st.lists(word, max_size=40))
    chunk = data.draw(st.sampled_from([32, 40, 96, CHUNK]))
    events, repairs = PLAIN[version](words)
    content = raw(version, words, *["format EVT21;endianness=little"] * (version == "2.1"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evt_words, "CHUNK", chunk)
        if 2 * repairs[UNKNOWN] > len(words):
            assert "found no known kind in" in refused(content)
            return
        recording = open_recording(content)
        assert listed(recording) == events
        assert recording.repairs == repairs


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FILES)
def test_a_file_is_recognised_by_its_content(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "named.like.nothing"
    path.write_bytes(FILES[kind](EVENTS))
    with path.open("rb") as opened:
        for source in (path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes()), opened):
            recording = open_recording(source)
            assert is_recording(source)
            assert (recording.format, recording.sensor) == (kind, None)
            for _ in range(2):
                assert listed(recording) == EVENTS
                assert not recording.repairs


ROUND_TRIPS = {"EVT 2.0": (2048, 34), "EVT 2.1": (2048, 34), "EVT 3.0": (2048, 24), "DAT": (1 << 14, 32)}


@pytest.mark.parametrize("kind", FILES)
@given(data=st.data())
def test_round_trip(kind: str, data: st.DataObject) -> None:
    side, bits = ROUND_TRIPS[kind]
    events = data.draw(made.lists_of_events(side, side, bits))
    recording = open_recording(FILES[kind](events))
    if kind == "DAT" and len({p for *_, p in events}) == 1:
        assert len(recording.repairs) == 0
        assert listed(recording) == events
        assert list(recording.repairs.values()) == [len(events)]  # a polarity alone is told
        return
    # times that fall by half of the clock or more, or are half of it apart, are not what the words say
    assert listed(recording) == events or max(np.diff([t for t, *_ in events])) >= 1 << bits - 1
    assert not recording.repairs


@pytest.mark.parametrize("kind", FILES)
def test_cut_anywhere(kind: str) -> None:
    """All whole words count, and what is left over is one repair; without any event it is refused, or has none."""
    content = FILES[kind](EVENTS)
    size = {"EVT 3.0": 2, "EVT 2.0": 4}.get(kind, 8)
    body = FILES[kind]([])
    for n in range(len(body), len(content) + 1):
        rest = (n - len(body)) % size
        try:
            recording = open_recording(content[:n])
            events = listed(recording)
        except errors.RecordingError as error:
            assert rest
            assert "found a file that ends within the first; copy it again" in str(error)  # noqa: PT017 - whether it is read depends on where it ends
            continue
        assert events == EVENTS[: len(events)]
        assert recording.repairs[CUT] == (1 if rest else 0)
    assert events == EVENTS


def test_the_header() -> None:
    body = struct.pack("<II", high2(0), cd2(1, 8, 3, 0))
    event = [(1, 8, 3, 0)]
    for head in (
        b"% evt 2.0\n",  # no end
        b"% evt 2.0\r\n% end\r\n",
        b"% Date 2020-09-14\n% integrator_name Proph\xc3\xa9see\n% evt 2\n%\n% end\n",
        b"% format EVT2;height=4;width=9\n% geometry 9x4\n% end\n",
        b"% evt 2.0\n% format EVT2\n% end\n",
    ):
        recording = open_recording(head + body)
        assert listed(recording) == event
        assert recording.sensor == ((9, 4) if b"geometry" in head else None)
    big = struct.pack(">II", high2(0), cd2(1, 8, 3, 0))
    assert listed(open_recording(header("2.0", "format EVT2;endianness=big") + big)) == event
    big3 = struct.pack(">4H", high3(0), low3(1), row3(3), pixel3(8, 0))
    assert listed(open_recording(header("3.0", "endianness big") + big3)) == event
    big21 = struct.pack(">QQ", high21(0), cd21(1, 8, 3, 0))
    assert listed(open_recording(header("2.1", "format EVT21;endianness=big") + big21)) == event


def test_a_header_alone_has_no_events() -> None:
    for make in FILES.values():
        assert survey(open_recording(make([]))).events == 0


def test_events_beyond_the_sensor_are_left_out() -> None:
    for kind, lines in {"2.0": ["geometry 9x4"], "3.0": ["format EVT3;height=4;width=9"]}.items():
        make = {"2.0": [high2(0), cd2(1, 8, 3, 0), cd2(1, 9, 3, 0), cd2(1, 8, 4, 0)],
                "3.0": [high3(0), low3(1), row3(3), pixel3(8, 0), pixel3(9, 0), row3(4), pixel3(8, 0)]}[kind]  # fmt: skip
        recording = open_recording(raw(kind, make, *lines))
        assert listed(recording) == [(1, 8, 3, 0)]
        assert recording.repairs == {"events beyond the 9x4 sensor left out": 2}


def test_polarities_of_dat_are_two_values() -> None:
    recording = open_recording(prophesee.dat([(1, 1, 1, 15), (2, 2, 2, 1), (3, 3, 3, 15)]))
    assert [p for *_, p in listed(recording)] == [1, 0, 1]
    assert recording.repairs == {"polarities 1 and 15 taken as OFF and ON": 3}
    assert "expected two polarities" in refused(prophesee.dat([(1, 1, 1, 0), (2, 2, 2, 1), (3, 3, 3, 2)]))


def test_times_of_dat_run_over() -> None:
    recording = open_recording(prophesee.dat([(2**32 - 1, 1, 1, 1), (2**32 + 1, 2, 2, 0)]))
    assert [t for t, *_ in listed(recording)] == [2**32 - 1, 2**32 + 1]
    assert recording.repairs == {"times beyond 32 bits carried on": 1}


BAD = {
    "no version": (b"% plugin_name hal_plugin_gen31_fx3\n% end\n" + bytes(64), "found neither"),
    "another version": (header("4.0") + bytes(64), "found '4.0'"),
    "frames": (b"% format HISTO3D;height=320;width=320\n% end\n" + bytes(64), "found 'HISTO3D'"),
    "two versions": (header("3.0", "format EVT21") + bytes(64), "found '2.1' and '3.0'"),
    "words of another version": (raw("3.0", [0x9000] * 9 + [0x8000] * 8), "expected words of EVT 3.0, as its header says, found no known kind in 9 of the first 17"),
    "another order": (header("2.1", "format EVT21;endianness=middle"), "expected endianness little, big, legacy, or none, found 'middle'"),
    "words of time in another order": (header("2.1", "format EVT21;endianness=little") + 8 * struct.pack("<II", high2(0), 0), "endianness little, as its header says, found 8 words of time in the other order"),
    "two sensors": (header("3.0", "geometry 640x480", "format EVT3;height=720;width=1280"), "says one sensor, found '1280x720' and '640x480'"),
    "no sensible sensor": (header("3.0", "geometry 0x480"), "expected a sensor of 1 to 65536 pixels a side in its header, found '0x480'"),
    "half a sensor": (header("3.0", "format EVT3;width=1280"), "found '1280x'"),
    "a sensor in words": (header("3.0", "geometry \x41uto"), "found 'autox'"),
    "an absurd sensor": (header("3.0", "geometry 99999999999x1"), "found '99999999999x1'"),
    "an endless header": (header("3.0", end=False) + b"% a b\n" * 50_000, "a text header of at most 262144 bytes"),
    "DAT of version 1": (prophesee.dat(EVENTS).replace(b"Version 2", b"Version 1"), "expected DAT of version 2, found '1'"),
    "DAT of triggers": (prophesee.dat(EVENTS, kind=b"\x0e\x08"), "expected records of kind 0 or 12 (events) of 8 bytes, found kind 14 of 8 bytes"),
    "DAT of larger records": (prophesee.dat(EVENTS, kind=b"\x0c\x10"), "found kind 12 of 16 bytes"),
    "DAT without records": (prophesee.dat([], kind=b"\x0c"), "found the end of the file"),
    "DAT within a record": (prophesee.dat([]) + b"cut", "found a file that ends within the first"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_content_is_refused_in_one_line(name: str) -> None:
    content, message = BAD[name]
    assert message in refused(content)
    assert is_recording(content)


def test_other_text_that_begins_so_is_none_of_prophesee() -> None:
    for content in (
        b"% a comment\n\\documentclass{article}\n" * 9,
        b"%!PS-Adobe-3.0\n" + bytes(99),
        b"% format of it\nx = 1\n",
    ):
        assert not is_recording(content)
        assert "found none of them" in refused(content)


# --- memory -----------------------------------------------------------------------------------------------------------


SIZE = 32 << 20


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "events"),
    [
        (prophesee.evt2([(0, 1, 1, 1)]), lambda n: n // 4),
        (header("2.1", "format EVT21;endianness=legacy") + struct.pack("<II", high2(0), 0), lambda n: 0),
        (raw("3.0", [high3(0), low3(0), row3(1), base3(1, 1), vector12(0xFFF)]), lambda n: 12),
        (prophesee.dat([(0, 1, 1, 1)]), lambda n: 1 + n // 8),
    ],
    ids=["EVT 2.0", "EVT 2.1", "EVT 3.0", "DAT"],
)
def test_memory_does_not_grow_with_the_file(tmp_path: Path, content: bytes, events: object) -> None:
    """Of 32 MB, mostly zeros, in the memory of a few chunks."""
    with (tmp_path / "large").open("wb") as file:
        file.write(content)
        file.truncate(len(content) + SIZE)
    tracemalloc.start()
    counted = survey(open_recording(tmp_path / "large")).events
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert counted == events(SIZE) + (content.startswith(b"% evt 2.0")), counted
    assert peak < 16e6


@pytest.mark.slow
def test_memory_of_words_that_are_full_of_events(tmp_path: Path) -> None:
    """The most that a word can hold: 32 pixels of EVT 2.1; 2 million events a block."""
    words = np.full(1 << 18, cd21(1, 0, 1, 1, 0xFFFF_FFFF), np.uint64)
    words[0] = high21(0)
    (tmp_path / "full").write_bytes(header("2.1", "format EVT21;endianness=little") + words.astype("<u8").tobytes())
    tracemalloc.start()
    counted = survey(open_recording(tmp_path / "full"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert counted.events == 32 * (len(words) - 1)
    assert peak < 24e6


def test_chunks_are_never_larger_than_a_chunk() -> None:
    words = [high3(0), low3(0), row3(1)] + [base3(1, 1), vector12(0xFFF)] * 40_000
    lengths = [len(chunk) for chunk in open_recording(raw("3.0", words)).read()]
    assert (sum(lengths), max(lengths) <= CHUNK) == (480_000, True)


# --- real recordings --------------------------------------------------------------------------------------------------

REAL = {
    "evt2_sample.raw": ("EVT 2.0", 539_481, (1317888, 237, 121, 1), (1367888, 210, 142, 1)),
    # 551 words of high time, one every 16 us, last 8.8 ms, and so do these times
    "evt3_sample.raw": ("EVT 3.0", 219_596, (11718656, 874, 200, 0), (11727457, 1218, 572, 1)),
    "sample_ncars.dat": ("DAT", 2_009, (0, 25, 8, 0), (99952, 75, 28, 1)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_real_recordings(shared: Path, name: str) -> None:
    path = shared / "events" / name
    if not path.exists():
        pytest.skip(f"the real recording {path} is not here; made-up ones are tested")
    kind, n, first, last = REAL[name]
    recording = open_recording(path)
    events = listed(recording)
    assert (recording.format, recording.sensor, len(events), events[0], events[-1]) == (kind, None, n, first, last)
    assert not recording.repairs
    if kind == "EVT 3.0":
        content = path.read_bytes()
        words = np.frombuffer(content, "<u2", offset=content.index(b"% system_ID 48\n") + 15)
        assert prophesee.plain_evt3(words.tolist()) == (events, {})


@pytest.mark.parametrize("name", REAL)
def test_expelliarmus_reads_the_same(shared: Path, name: str) -> None:
    """But for times of EVT 3.0, to which it adds 4,096 us where low times step back within a high one."""
    expelliarmus = pytest.importorskip("expelliarmus")
    path = shared / "events" / name
    if not path.exists():
        pytest.skip(f"the real recording {path} is not here; made-up ones are tested")
    kind = REAL[name][0]
    theirs = expelliarmus.Wizard({"EVT 2.0": "evt2", "EVT 3.0": "evt3", "DAT": "dat"}[kind], fpath=path).read()
    ours = made.read(open_recording(path))
    for key in "xyp" if kind == "EVT 3.0" else "txyp":
        assert (getattr(ours, key) == theirs[key]).all(), key
    if kind == "EVT 3.0":
        assert sorted(set((theirs["t"] - ours.t).tolist())) == [4096 * steps for steps in range(12)]
