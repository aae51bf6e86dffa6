"""Numbers and names in words."""

from rich.markup import escape


def many(n: int, one: str) -> str:
    """Count things in words: '1 event', '1,234 events'."""
    return f"{n:,} {one}{'s' * (n != 1)}"


def plain(text: object) -> str:
    """Show a name from outside as it stands: no markup, no control characters."""
    return escape("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text)))
