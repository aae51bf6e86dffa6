"""Numbers and names in words."""

from rich.markup import escape

from ..errors import one_line


def many(n: int, one: str) -> str:
    """Count things in words: '1 event', '1,234 events'."""
    return f"{n:,} {one}{'s' * (n != 1)}"


def plain(text: object) -> str:
    """Show a name from outside as it stands: no markup, no control characters, no more of it than of a message."""
    return escape(one_line(str(text)))
