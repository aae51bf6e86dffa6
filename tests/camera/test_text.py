"""Lines of text are read as their names say, or as the only order that fits; what is no table of numbers is not read."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdt_ref.camera.opening import is_recording, open_recording
from sdt_ref.camera.recording import survey
from sdt_ref.camera.text import BLOCK, find_layout
from sdt_ref.errors import RecordingError
from tests import camera_bytes as made
from tests.camera_bytes import Event, listed

EVENTS = [(10, 1, 2, 1), (20, 3, 4, 0), (30, 5, 6, 1)]
CUT = "incomplete record at the end left out"


def saved(header: str, comments: str, **how: str) -> bytes:
    stream = io.BytesIO()
    np.savetxt(stream, np.array(EVENTS), header=header, comments=comments, **how)
    return stream.getvalue()


SAME: dict[str, bytes] = {
    "spaces": b"10 1 2 1\n20 3 4 0\n30 5 6 1\n",
    "no end of the last line": b"10 1 2 1\n20 3 4 0\n30 5 6 1",
    "tabs, and ends of Windows": b"10\t1\t2\t1\r\n20\t3\t4\t0\r\n30\t5\t6\t1\r\n",
    "ends of old Macs": b"10 1 2 1\r20 3 4 0\r30 5 6 1\r",
    "commas and spaces": b"10, 1, 2, 1\n20, 3, 4, 0\n30, 5, 6, 1\n",
    "semicolons": b"10;1;2;1\n20;3;4;0\n30;5;6;1\n",
    "blanks around, and lines without anything": b"\n  10 1  2 1 \n\n20 3 4 0\n \t\n30 5 6 1\n\n",
    "a mark of UTF-8": b"\xef\xbb\xbf10 1 2 1\n20 3 4 0\n30 5 6 1\n",
    "comments": b"# a recording, 2026\n% of mine: \xc2\xb5s\n10 1 2 1\n# 1 2\n20 3 4 0\n  # 5\n30 5 6 1\n",
    "signs, zeros and points": b"+10 01 2. 1.0\n20 3e0 4 0\n30 5 .6e1 +1\n",
    "names": b"t x y p\n10 1 2 1\n20 3 4 0\n30 5 6 1\n",
    "names in another order, in quotes": b'"x","y","polarity","timestamp"\n1,2,1,10\n3,4,0,20\n5,6,1,30\n',
    "names after a mark of UTF-8": b"\xef\xbb\xbft,x,y,p\n10,1,2,1\n20,3,4,0\n30,5,6,1\n",
    "more columns, as pandas writes them": b",y,x,frame,p,t\n0,2,1,7,True,10\n1,4,3,7,False,20\n2,6,5,8,True,30\n",
    "columns of words": b"label,t,x,y,p\ncat,10,1,2,1\ndog,20,3,4,0\n7,30,5,6,1",
    "all in quotes, as R writes them": b'"","t","x","y","p"\n"1","10","1","2","1"\n"2",20,3,4,0\n"3",30,5,6,1\n',
    "a comma after each line": b"t,x,y,p,\n10,1,2,1,\n20,3,4,0,\n30,5,6,1,\n",
    "names with units": b"t [us], x, y, p\n10,1,2,1\n20,3,4,0\n30,5,6,1\n",
    "names in a comment": b"# x y t p\n1 2 10 1\n3 4 20 0\n5 6 30 1\n",
    "a comment that names nothing": b"# t x y p of DAVIS\n10 1 2 1\n20 3 4 0\n30 5 6 1\n",
    "numpy.savetxt": saved("t,x,y,p", "# ", fmt="%d", delimiter=","),
    "numpy.savetxt, without comments": saved("t x y p", "", fmt="%d"),
}


UNNAMED = {"a comment that names nothing"}


@pytest.mark.parametrize("how", SAME)
def test_the_same_events(how: str) -> None:
    recording = open_recording(SAME[how])
    assert (recording.format, recording.sensor, listed(recording)) == ("text", None, EVENTS)
    named = any(name in SAME[how] for name in (b"x y", b"x,y", b"y,x", b'"x"', b"x, y"))
    assert recording.repairs == ({} if named and how not in UNNAMED else {"columns taken as t, x, y, p": 3})


@pytest.mark.parametrize(
    "content",
    [
        b"34 30\n10 1 2 1\n20 3 4 0\n30 5 40 1\n",  # E2VID
        b"% geometry:34,30\n10,1,2,1\n20,3,4,0\n30,5,40,1\n",
        b"%geometry:34,30\n1,2,1,10\n3,4,0,20\n5,40,1,30\n",  # metavision_file_to_csv
        b"%geometry:34,30\nx,y,p,t\n1,2,1,10\n3,4,0,20\n5,40,1,30\n",
    ],
)
def test_a_text_may_tell_its_sensor(content: bytes) -> None:
    recording = open_recording(content)
    assert (recording.sensor, listed(recording)) == ((34, 30), EVENTS[:2])
    assert recording.repairs["events beyond the 34x30 sensor left out"] == 1


def test_the_event_camera_dataset() -> None:
    recording = open_recording(b"0.003811000 96 133 0\n0.003820001 127 171 1\n59.763999939 0 179 1\n")
    assert listed(recording) == [(3811, 96, 133, 0), (3820, 127, 171, 1), (59_764_000, 0, 179, 1)]
    assert recording.repairs == {"times taken as seconds": 3}


@given(
    made.lists_of_events(1 << 16, 1 << 16, 62, least=1),
    st.permutations("txyp"),
    st.sampled_from([" ", "\t", ",", ", ", ";"]),
)
def test_round_trip(events: list[Event], order: list[str], between: str) -> None:
    """Integers of any size, in any order, between anything."""
    recording = open_recording(made.text(events, "".join(order), between, between.join(order) + "\n"))
    assert listed(recording) == events


@pytest.mark.parametrize("header", ["", "t x y p\n"])
def test_cut_anywhere(header: str) -> None:
    """Whole lines are kept; a last one that is not whole is left out, and where a number may be cut, nothing can tell."""
    content = made.text(EVENTS, header=header)
    for n in range(len(content) + 1):
        lines = content[len(header) : n].decode().split("\n")
        rows = [line.split() for line in lines if line]
        whole = [tuple(map(int, row)) for row in rows if len(row) == 4]
        if n == 0 or not (whole or n in (len(header), len(header) - 1)):
            with pytest.raises(RecordingError):
                listed(open_recording(content[:n]))
            continue
        recording = open_recording(content[:n])
        assert listed(recording) == whole
        assert recording.repairs.get(CUT, 0) == len(rows) - len(whole)


def test_lines_across_blocks() -> None:
    n = BLOCK // 5
    events = [(1_000_000 + k, k % 34, k % 33, k % 2) for k in range(n)]
    for content in (made.text(events), b"\r\n".join(made.text(events).split(b"\n"))):
        recording = open_recording(content)
        assert listed(recording) == events
        assert max(map(len, recording.read())) < n
        with pytest.raises(RecordingError, match=rf", line {n + 1}: expected 4 numbers, found '1 2 3'"):
            survey(open_recording(content + b"1 2 3\n"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1 2 3 1\n4 5 6\n7 8 9 1\n", "line 2: expected 4 numbers, found '4 5 6'"),
        (b"# title\n\n1 2 3 1\n4 5 6 0 1\n", "line 4: expected 4 numbers, found '4 5 6 0 1'"),
        (b"1,2,3,1\n4,,6,0\n", "line 2: expected 4 numbers, found '4 6 0'"),
        (b"1 2 3 1\n4 five 6 0\n", "line 2: expected 4 numbers, found '4 five 6 0'"),
        (b"1 2 3 1\n1_0 5 6 0\n", "line 2: expected 4 numbers"),
        (b"t,x,y,p\n1,2,3,1\n'4,5,6,0\n", "line 3: expected 4 numbers, found \"'4 5 6 0\""),
        (b't,x,y,p\n1,2,3,1\n"4,5",6,0\n', "line 3: expected 4 numbers, found '.4 5. 6 0'"),
        (b"1 2 3 1\n0x1 5 6 0\n", "line 2: expected 4 numbers, found '0x1 5 6 0'"),
        (b"1 2 3 1\n2 5 6 \x1b[31m\n", r"line 2: expected 4 numbers, found '2 5 6 \\x1b\[31m'"),
        (b"1 2 3 1\n2 5 6 0\n3 7 8 " + b"\0" * 9 + b"\n", r"line 3: expected 4 numbers, found '3 7 8 \\x00"),
        (b"1;0,5;2;1\n2;0,5;2;1\n", "expected columns t, x, y and p, found 5 columns without names"),
        (b"1 2 3\n4 5 6\n", "expected columns t, x, y and p, found 3 columns without names"),
        (b"a,b,c,d\n1,2,3,4\n", "expected columns named t, x, y and p, found 'a', 'b', 'c', 'd'"),
        (b"ts,time,x,y,p\n1,2,3,4,1\n", "expected one column of t, found 'ts' and 'time'"),
        (b"t,x,y,p\n1,2,3.5,1\n", r"expected whole numbers below 2\^63 in column y, found 3.5"),
        (b"t,x,y,p\n1,nan,3,1\n", r"in column x, found nan"),
        (b"t,x,y,p\n1e999,1,3,1\n", r"expected numbers below 2\^63 in column t, found inf to inf"),
        (b"t,x,y,p\n" + b"9" * 400 + b",1,3,1\n", r"expected numbers below 2\^63 in column t, found inf to inf"),
        (b"1 2 3 1\n" + b"5" * (3 * BLOCK), "expected lines of at most 65536 bytes, found a longer one"),
        (b"1 2\n3 4\n", "expected columns t, x, y and p, found 2 columns"),
        (b"t,x,y,p\n10,1,2,ON\n", "line 2: expected 4 numbers, found '10 1 2 ON'"),
        (b"t;x;y;p\n0,5;1;2;1\n", "line 2: expected 4 numbers, found '0 5 1 2 1'"),
        (b't,x,y,p\n"1,473",30,22,1\n', "line 2: expected 4 numbers, found '.1 473. 30 22 1'"),
        (b"label,t,x,y,p\ncat,10,1,2,1\n,20,3,4,0\n", "line 3: expected 5 numbers, found '20 3 4 0'"),
        (b"label,t,x,y,p\ncat,10,1,2,1\ncat,20,3,4,five\n", "line 3: expected 5 numbers, found 'cat 20 3 4 five'"),
    ],
)  # fmt: skip
def test_what_is_no_event_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(RecordingError, match=message) as caught:
        listed(open_recording(content))
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert str(caught.value).startswith("recording 'bytes'")


@pytest.mark.parametrize(
    "content",
    [
        b"# Title\n\nWords of a page.\n",
        b"Some title\n1 2 3 4\n",
        b"class,startTime_usec,endTime_usec\n1,2,3\n",
        b"123456\n",
        b"t\n1\n2\n",
        b"P2\n2 2\n255\n0 0 0 0\n",
        b"[1, 2, 3, 4]\n",
        b"<svg>\n",
        b"#!/bin/sh\n",
        b"",
    ],
)
def test_other_texts_are_no_recordings(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    assert find_layout(content) is None
    path = tmp_path_factory.mktemp("text") / "file"
    path.write_bytes(content)
    assert not is_recording(path)
