"""NumPy's .npz: arrays named STAGE/QUANTITY, [steps, tokens, channels] as in the trace, or as PyTorch has them."""

import io
import zipfile
from typing import BinaryIO

import numpy as np

from ...camera.array import read_npy_header
from ...errors import TraceError, reason_of
from ..trace_file import Trace
from .dump import Dump, check_type, checked
from .official import axes_of, find, pooled, rows

LONGEST_HEADER = 1 << 16  # bytes


def read_npz(file: BinaryIO, golden: Trace) -> Dump:
    """Read an archive, of each array the header first; raises TraceError without the name of the file."""
    dump = Dump(golden.header.steps)
    if not zipfile.is_zipfile(file):
        raise TraceError("expected arrays of numbers that numpy.savez wrote, found another or a damaged file")
    try:
        with zipfile.ZipFile(file) as archive:
            for member in archive.namelist():
                record, to_pool = find(golden, member.removesuffix(".npy"))
                if record.name in dump.values:
                    raise TraceError(f"record '{record.name}' is in the file twice; write each once")
                with archive.open(member) as stream:
                    start = io.BytesIO(stream.read(LONGEST_HEADER))
                shape, _, dtype = read_npy_header(start)
                check_type(record, dtype)
                axes = axes_of(golden, record, shape)
                with archive.open(member) as stream:
                    array = np.lib.format.read_array(stream, allow_pickle=False)
                    if stream.read(1):
                        raise TraceError(f"record '{record.name}': expected {array.size:,} numbers, found more")
                values = checked(record, rows(golden, array, axes), dump.steps)
                dump.values[record.name] = pooled(record, values) if to_pool else values
    except TraceError:
        raise
    except Exception as error:  # what zipfile, its decompressors and numpy raise
        raise TraceError(
            f"expected arrays of numbers that numpy.savez wrote ({reason_of(error)}); write it again"
        ) from None
    return dump
