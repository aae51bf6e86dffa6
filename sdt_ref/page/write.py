"""One file that holds everything: the template filled with data, style sheet and script."""

import base64
import hashlib
import os
from importlib import resources
from typing import Any

from .. import files
from ..errors import ConfigError

MAX_BYTES = 5_000_000


def require_jinja() -> None:
    """Raise ConfigError, before anything is computed, when the template library is not installed."""
    try:
        import jinja2  # noqa: F401
    except ImportError:
        raise ConfigError(
            "the report needs Jinja2, which is not installed; in the folder of sdt_ref: pip install '.[report]'"
        ) from None


def render(gathered: dict[str, Any]) -> str:
    """The page as HTML, of what `gather` returns. No text of it is taken for markup, and no other script can run."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    script = _asset("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("page.html.jinja").render(
        data=gathered, style=_asset("page.css"), script=script, digest=digest
    )


def write(path: str | os.PathLike[str], page: str) -> int:
    """Write a page; it appears when it is complete. Returns its bytes.

    Raises ConfigError when it cannot be written, or has MAX_BYTES or more.
    """
    whole = page.encode()
    if len(whole) >= MAX_BYTES:
        raise ConfigError(
            f"report: expected less than {MAX_BYTES / 1e6:g} MB, found {len(whole) / 1e6:.1f} MB; "
            "choose fewer with --steps"
        )
    files.write(path, whole, ConfigError)
    return len(whole)


def _asset(name: str) -> str:
    return (resources.files(__package__) / "assets" / name).read_text(encoding="utf-8")
