"""What comes from outside is no markup, and a photo leaves its metadata behind."""

import base64
import io
import os
import sys
from pathlib import Path

import pytest
from PIL import Image

from sdt_ref import report
from sdt_ref.errors import spelled
from tests.page.embedded import HOSTILE, Embedded, hostile_page
from tests.shipped import CAT


def test_names_from_outside_are_no_markup(tmp_path: Path) -> None:
    path = hostile_page(tmp_path)
    page = Embedded(path.read_text())
    assert [attributes.get("type") for attributes, _ in page.scripts] == ["application/json", None]
    assert page.data["photo"]["name"].startswith("<img src=x onerror=window.hacked=3> \"' {{ 7*7 }}")
    assert page.data["answer"][0]["label"][2:] == spelled(HOSTILE)
    assert page.title.startswith(page.data["photo"]["name"])
    assert path.read_text().count("<script") == 2


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_text_is_shown_all_the_same(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    photo = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.jpg")
    Path(photo).write_bytes(CAT.read_bytes())
    assert report.main([photo, "-o", str(tmp_path / "r.html")]) == 0
    assert Embedded((tmp_path / "r.html").read_text()).data["photo"]["name"] == "\ufffd\ufffd.jpg"


def test_a_photo_leaves_its_place_and_camera_behind(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    picture = Image.new("RGB", (64, 64), "gray")
    exif = Image.Exif()
    exif[0x010F] = "CAMERA-MAKER"
    picture.save(tmp_path / "p.jpg", exif=exif, comment=b"A-SECRET")
    assert report.main([str(tmp_path / "p.jpg"), "-o", str(tmp_path / "r.html")]) == 0
    data = Embedded((tmp_path / "r.html").read_text()).data
    for shown in ("given", "seen"):
        raw = base64.b64decode(data["photo"][shown].partition(",")[2])
        assert b"CAMERA-MAKER" not in raw
        assert b"A-SECRET" not in raw
        assert Image.open(io.BytesIO(raw)).size == ((64, 64) if shown == "given" else (32, 32))
