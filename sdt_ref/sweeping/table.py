"""The rows of a grid for a paper.

CSV and JSON have the numbers in full, LaTeX (with booktabs) and Markdown round them.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..files import require_writable
from ..terminal.words import many
from .grid import Outcome, Row

NOT_HELD = "does not hold"  # such registers do not hold the network's numbers
HEAD = ("T", "weights", "membranes", "stream", "top-1", "95 % interval", "flips")


def require(path: str, *inputs: str | Path | None) -> None:
    """Raise ConfigError, before anything is computed, unless the ending is known and the file can be written."""
    if Path(path).suffix.lower() not in FORMS:
        raise ConfigError(f"table '{path}': expected a name that ends in {', '.join(FORMS)}")
    require_writable(path, ConfigError, *inputs)


def to_table(outcome: Outcome, path: str) -> str:
    """The text of the table, in the form that the ending of the file's name says."""
    return FORMS[Path(path).suffix.lower()](outcome)


def to_json(outcome: Outcome) -> dict[str, Any]:
    """All that is known, as JSON."""
    return {
        "calibrated_on": outcome.calibrated,
        "rows": [_fields(row) for row in outcome.rows],
        "repairs": dict(outcome.repairs),
        "unreadable": [{"name": name, "reason": reason} for name, reason in outcome.unreadable],
    }


def to_csv(outcome: Outcome) -> str:
    """Every number in full; nothing where there is none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    rows = [_fields(row) for row in outcome.rows]
    for row in rows:
        row["top1_low"], row["top1_high"] = row.pop("top1_interval") or (None, None)
        row["refused"] = row.pop("refused")  # the last, as it is text
    writer.writerow(rows[0])
    writer.writerows(row.values() for row in rows)
    return text.getvalue()


def to_markdown(outcome: Outcome) -> str:
    """A table as GitHub reads it, below a line that says what it is of."""
    lines = [[*HEAD], ["--:"] * len(HEAD), *(cells(row) for row in outcome.rows)]
    return f"{' '.join(about(outcome))}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def to_latex(outcome: Outcome) -> str:
    """A tabular, below comments that say what it is of."""
    groups = [list(rows) for _, rows in groupby(outcome.rows, lambda row: row.point.time_steps)]
    head = [*HEAD[:4], r"top-1, \%", r"95\,\% interval, \%", HEAD[6]]
    return "".join(
        [
            *(f"% {line}\n" for line in (*about(outcome), r"It needs \usepackage{booktabs}.")),
            f"\\begin{{tabular}}{{{'r' * len(HEAD)}}}\n\\toprule\n",
            " & \\multicolumn{3}{c}{bits} & & & \\\\\n\\cmidrule(lr){2-4}\n",
            f"{' & '.join(head)} \\\\\n",
            *("\\midrule\n" + "".join(map(_latex_row, rows)) for rows in groups),
            "\\bottomrule\n\\end{tabular}\n",
        ]
    )


def cells(row: Row) -> list[str]:
    """The texts of a row, rounded, in the order of HEAD."""
    names = ["float32", "", ""] if row.point.bits is None else map(str, row.point.bits)
    return [str(row.point.time_steps), *names, *results(row)]


def results(row: Row) -> list[str]:
    """The texts of the last three cells."""
    if row.refused is not None:
        return [NOT_HELD, "", ""]
    if row.top1 is None or row.interval is None:
        return ["", "", ""]
    low, high = row.interval
    flips = "" if row.point.bits is None else f"{row.flips:,}"
    return [f"{row.top1:.2%}", f"{low:.1%} to {high:.1%}", flips]


def about(outcome: Outcome) -> Sequence[str]:
    """What the table is of, in sentences; and each reason why there can be no such registers, once."""
    refused: dict[str, list[str]] = {}
    for row in outcome.rows:
        if row.refused is not None:
            refused.setdefault(row.refused, []).append(row.point.words)
    return (
        f"{many(outcome.images, 'image')}; registers calibrated on {outcome.calibrated:,}.",
        "Flips: images whose label is another than that of float32 at the same T.",
        *(
            f"{first}{f', and {len(others):,} more' * bool(others)}: {NOT_HELD}: {reason}."
            for reason, (first, *others) in refused.items()
        ),
    )


def _fields(row: Row) -> dict[str, Any]:
    bits = row.point.bits or (None, None, None)
    held = row.refused is None
    return {
        "time_steps": row.point.time_steps,
        "arithmetic": "float32" if row.point.bits is None else "fixed",
        **dict(zip(("weight_bits", "membrane_bits", "stream_bits"), bits, strict=True)),
        "images": row.images if held else None,
        "top1_right": row.right if held else None,
        "top1": row.top1,
        "top1_interval": row.interval,
        "flips": row.flips if held and row.point.bits else None,
        "refused": row.refused,
    }


def _latex_row(row: Row) -> str:
    T, *bits, top1, interval, flips = cells(row)
    if row.point.bits is None:
        bits = [r"\multicolumn{3}{c}{float32}"]
    if row.refused is not None:
        last = [f"\\multicolumn{{3}}{{c}}{{{NOT_HELD}}}"]
    else:
        last = [text.replace("%", "") for text in (top1, interval.replace(" to ", "--"), flips)]
    return f"{' & '.join([T, *bits, *last])} \\\\\n"


def _json_text(outcome: Outcome) -> str:
    return json.dumps(to_json(outcome), indent=2, allow_nan=False) + "\n"


FORMS: Mapping[str, Callable[[Outcome], str]] = {
    ".csv": to_csv,
    ".tex": to_latex,
    ".md": to_markdown,
    ".json": _json_text,
}
