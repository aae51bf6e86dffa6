"""Read a dump of any format, recognised by the end of its name."""

import io
from pathlib import Path

from ...errors import TraceError, reason_of
from ...files import open_plain, require_file
from ..trace_file import Trace
from .csv import read_csv
from .dump import Dump
from .h5 import read_h5
from .mem import read_mem
from .npz import read_npz
from .text import require_whole_lines

FORMS = (".h5", ".npz", ".csv", ".mem")


def read_dump(path: str, golden: Trace, record: str | None = None) -> Dump:
    """Read a dump.

    Parameters
    ----------
    golden : trace that it is to be compared with
    record : name of the only record in a .mem file that does not say it itself

    Raises TraceError in one line.
    """
    file = Path(path)
    require_file(file, "dump", TraceError)
    if file.suffix not in FORMS:
        raise TraceError(f"dump '{file}': expected a file that ends in {', '.join(FORMS)}")
    if record is not None and file.suffix != ".mem":
        raise TraceError(f"dump '{file}': --record is for .mem files; this format names its records")
    try:
        dump = _read(file, golden, record)
        if not dump.values:
            raise TraceError("holds no record, so that there is nothing to compare")
        return dump
    except TraceError as error:
        raise TraceError(f"dump '{file}': {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise TraceError(f"dump '{file}': cannot be read ({reason_of(error)}); write it again") from None


def _read(file: Path, golden: Trace, record: str | None) -> Dump:
    if file.suffix == ".h5":
        return read_h5(file, golden)
    with open_plain(file, "dump", TraceError) as opened:
        if file.suffix == ".npz":
            return read_npz(opened, golden)
        require_whole_lines(opened)
        with io.TextIOWrapper(opened, encoding="utf-8") as text:
            return read_csv(text, golden) if file.suffix == ".csv" else read_mem(text, golden, record)
