"""What a run is: equal for equal work, and different, by name, for other."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

import sdt_ref
from sdt_ref.jobs import identity
from sdt_ref.jobs.identity import Identity

ONE = Identity(*(hashlib.sha256(bytes([n])).hexdigest() for n in range(4)))


def test_the_parts_that_differ_are_named() -> None:
    assert ONE.different_from(ONE) == []
    assert ONE.different_from(replace(ONE, data="0" * 64)) == ["data"]
    assert ONE.different_from(replace(ONE, code="0" * 64, weights="1" * 64)) == ["weights", "code"]


def test_it_is_kept_as_json_and_shown_short() -> None:
    assert Identity.from_json(ONE.to_json()) == ONE
    assert ONE.digest.split("-") == [part[:16] for part in (ONE.weights, ONE.data, ONE.settings, ONE.code)]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"weights": 1}', json.dumps(dict.fromkeys(["weights", "data", "settings", "code"], "ab"))]
)
def test_what_is_no_identity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        Identity.from_json(text)


def test_settings_count_by_value_not_by_order() -> None:
    assert identity.settings_digest({"a": 1, "b": None}) == identity.settings_digest({"b": None, "a": 1})
    assert identity.settings_digest({"a": 1}) != identity.settings_digest({"a": 2})


def test_the_code_is_every_source_of_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As a plain walk through the folder finds it; one character more changes it, a picture does not."""
    root, plain = Path(sdt_ref.__file__).parent, hashlib.sha256()
    for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).as_posix()):
        content = path.read_bytes()
        plain.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    assert identity.code_digest() == plain.hexdigest()
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "a.py").write_text("a = 1\n")
    monkeypatch.setattr(identity, "files", lambda _: tmp_path)
    digest = identity.code_digest.__wrapped__
    before = digest()
    (tmp_path / "room" / "a.png").write_bytes(b"picture")
    assert digest() == before
    (tmp_path / "room" / "a.py").write_text("a = 2\n")
    assert digest() != before
