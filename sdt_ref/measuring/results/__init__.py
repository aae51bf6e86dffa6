"""What `evaluate` computed of each image, in a file: name, label, predicted label, logits; in the order of the data.

.npz   arrays name, label, predicted, logits, classes and run; in fixed point also sums and scale: see `npz`
.csv   the same as a table, a line for each image: see `table`
.npy   labels alone, as other programs write them, of which only the predicted ones are known: see `labels`

A file holds nothing of how it was computed, so that the same run gives the same bytes. It is written and read chunk by
chunk: memory does not grow with the number of images.
"""

from .opening import ResultsFile, open_results, require, write
from .rows import CHUNK, UNREAD, Rows

__all__ = ["CHUNK", "UNREAD", "ResultsFile", "Rows", "open_results", "require", "write"]
