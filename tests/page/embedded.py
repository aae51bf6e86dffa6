"""Pages for the tests, and the data that a page embeds, unpacked."""

import base64
import dataclasses
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sdt_ref import report
from sdt_ref.weights import file as weights_file
from tests.networks import Network, weights_of

Page = dict[str, Any]


class Embedded(HTMLParser):
    """Reads what a page embeds: its data, its title, and all scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.title, self._inside = "", ""
        self._attributes: dict[str, str | None] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside, self._attributes = tag, dict(attrs)
        if tag == "script":
            self.scripts.append((self._attributes, ""))

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, text: str) -> None:
        if self._inside == "script":
            self.scripts[-1] = (self._attributes, self.scripts[-1][1] + text)
        elif self._inside == "title":
            self.title += text

    @property
    def data(self) -> Page:
        [text] = [text for attributes, text in self.scripts if attributes.get("id") == "data"]
        return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def unpacked(text: str, *shape: int) -> np.ndarray:
    bits = np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8), count=int(np.prod(shape)))
    return bits.reshape(shape)


def counts(packed: dict[str, Any]) -> np.ndarray:
    values = np.frombuffer(base64.b64decode(packed["data"]), f"<u{packed['bytes']}")
    return values.reshape(packed["shape"]).astype(np.int64)


def noise(n: Network) -> Image.Image:
    return Image.fromarray(np.random.default_rng(n.seed).integers(0, 256, (n.height, n.width, 3), np.uint8))


HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=2>&amp;\u2028\"'"


def hostile_page(tmp_path: Path) -> Path:
    pytest.importorskip("jinja2")
    n = Network(drive=1.5)
    weights = dataclasses.replace(weights_of(n), classes=tuple(f"{k} {HOSTILE}" for k in range(n.num_classes)))
    weights_file.save(tmp_path / "<b>w.h5", weights)
    photo = tmp_path / "<img src=x onerror=window.hacked=3> \"' {{ 7*7 }} & <script>.png"
    noise(n).save(photo)
    path = tmp_path / "r.html"
    assert report.main([str(photo), "--weights", str(tmp_path / "<b>w.h5"), "-o", str(path)]) == 0
    return path
