"""Docstrings of this project, as mkdocstrings reads them.

They say `name : what it is`, and leave types to the annotations; the NumPy style would read the words as a type. And a
sentence on errors or sources may stand behind the sections, where that style would add it to the last entry.
"""

import re
from typing import Any

import griffe

SECTION = re.compile(r"^(Parameters|Attributes|Returns|Raises|Notes)\n-+\n", flags=re.M)
ENTRY = re.compile(r"^([\w, *]+?) : (.*)$", flags=re.M)
BEHIND = re.compile(r"\n\n((?:Raises [A-Z]|Source: )(?:.|\n)*?)(?=\n\n|\Z)")


class Docstrings(griffe.Extension):
    """Rewrites each docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """See griffe.Extension."""
        if obj.docstring is not None:
            obj.docstring.value = rewritten(obj.docstring.value)


def rewritten(text: str) -> str:
    """Descriptions below names, sentences before sections, and what is returned as a sentence."""
    first = SECTION.search(text)
    if first is None:
        return text
    head, rest = text[: first.start()].rstrip(), text[first.start() :]
    said = [found.group(1) for found in BEHIND.finditer(rest)]
    rest = BEHIND.sub("", rest)
    parts = SECTION.split(rest)  # '', name, body, name, body, ...
    sections = []
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        if name == "Returns":
            lines = body.strip().split("\n")
            said.insert(0, "Returns " + " ".join(line.strip() for line in lines))
        elif name == "Notes":
            said.append(body.strip())
        else:
            below = ENTRY.sub(r"\1\n    \2", body) if name in ("Parameters", "Attributes") else body
            sections.append(f"{name}\n{'-' * len(name)}\n{below.strip()}\n")
    return "\n\n".join([head, *said, *sections])
