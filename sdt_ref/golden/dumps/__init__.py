"""What a design under test wrote, read into the shapes of the golden trace.

.h5    a trace, or any HDF5 file with datasets records/STAGE/QUANTITY laid out as in a trace
.npz   arrays named STAGE/QUANTITY, [steps, tokens, channels] as in the trace, spikes as 0 and 1; or with the names
       of official hooks and modules, and PyTorch's axes: see `official`
.csv   a header line, then one number per line: record,step,token,channel,value; or one spike per line, in the order in
       which the device sent them: record,step,token,channel
.mem   words as `packing` describes them, as $writememh leaves them: @address, // comments; one record in each file

Whatever is missing, cut off, unknown (x, z) or wider than its register is refused: a dump is complete or it is no dump.
Shapes are checked before numbers are read, so that a false one costs no memory.
"""

from .dump import Dump, canonical
from .opening import read_dump

__all__ = ["Dump", "canonical", "read_dump"]
