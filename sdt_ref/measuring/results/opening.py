"""Write and open a file of results, in the form that the ending of its name says."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...camera.array import MAGIC
from ...errors import ConfigError
from ...files import open_plain, require_writable, written_whole
from ...jobs.identity import Identity
from .labels import WHAT, open_labels
from .npz import open_npz, write_npz
from .rows import CHUNK, Chunks, Content, Rows, require_classes, require_scale, require_sound
from .table import open_csv, write_csv

ENDINGS = (".npz", ".csv")
ZIP = b"PK"


def require(path: str, *inputs: str | Path | None) -> None:
    """Raise ConfigError, before anything is computed, unless the ending is known and the file can be written."""
    if _ending(path) not in ENDINGS:
        raise ConfigError(f"results '{path}': expected a name that ends in {', '.join(ENDINGS)}")
    require_writable(path, ConfigError, *inputs)


def write(path: str, chunks: Chunks, classes: Sequence[str], run: Identity) -> None:
    """Write a file, which appears when it is complete; however the rows are chunked, its bytes are the same.

    Parameters
    ----------
    chunks : yields all rows in their order, the same each time; called once to look at them, then for each array
    classes : names by label

    Raises ConfigError when the file cannot be written, or the rows contradict themselves.
    """
    require(path)
    try:
        n, longest, first = _looked_at(chunks, require_classes(classes))
    except ConfigError as error:
        raise ConfigError(f"results '{path}': {error}") from None
    with written_whole(path, ConfigError) as part:
        if _ending(path) == ".npz":
            write_npz(part, chunks, n, longest, first, classes, run)
        else:
            write_csv(part, chunks, first, classes, run)


def _looked_at(chunks: Chunks, classes: Sequence[str]) -> tuple[int, int, Rows]:
    """Number of images, characters of the longest name, and no rows of the kind that all are."""
    n, longest, kind = 0, 0, None
    for rows in chunks():
        kind = rows[:0] if kind is None else kind
        if (rows.logits.dtype, rows.scale, rows.sums is None) != (kind.logits.dtype, kind.scale, kind.sums is None):
            raise ConfigError("expected rows of one run, found logits of several types, or several scales")
        if rows.scale is not None:
            require_scale(rows.scale)
        require_sound(rows, len(classes), n)
        n, longest = n + len(rows), max(longest, *map(len, rows.names), 0)
    if kind is None:
        raise ConfigError("expected images, found none")
    return n, longest, kind


@dataclass(frozen=True)
class ResultsFile:
    """A file of results, or of labels alone, that was read once and is sound.

    Attributes
    ----------
    path : for messages
    n : images
    content : what it says of all images
    """

    path: str
    n: int
    content: Content

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Names by label; None of labels alone."""
        return self.content.classes

    @property
    def run(self) -> str | None:
        """The digest of its run; None of labels alone, and of a table without rows."""
        return self.content.run

    @property
    def has_sums(self) -> bool:
        """Whether it is of fixed point."""
        return self.content.has_sums

    def rows(self, chunk: int = CHUNK) -> Iterator[Rows]:
        """All rows, at most so many at a time, fewer where they are wide; raises ConfigError where they changed."""
        return self.content.read(chunk)

    def rows_at(self, numbers: Sequence[int], total: int, chunk: int = CHUNK) -> Iterator[Rows]:
        """The rows of images of a data set of `total`, whose numbers ascend.

        Of a file that holds these images alone, all rows. Raises ConfigError for one of neither size.
        """
        if self.n not in (total, len(numbers)):
            raise ConfigError(
                f"results '{self.path}': expected {total:,} images, as the data set has, or the {len(numbers):,} that "
                f"are classified, found {self.n:,}"
            )
        return self.rows(chunk) if self.n == len(numbers) else _at(self.rows(chunk), numbers)


def _at(chunks: Iterator[Rows], numbers: Sequence[int]) -> Iterator[Rows]:
    first, done = 0, 0
    for rows in chunks:
        places = []
        while done < len(numbers) and numbers[done] < first + len(rows):
            places.append(numbers[done] - first)
            done += 1
        first += len(rows)
        if places:
            yield rows.at(places)


def open_results(path: str, total: int | None = None) -> ResultsFile:
    """Open results, or a .npy of labels, which is told by its first bytes; everything in it is looked at.

    Parameters
    ----------
    total : images of the data set: a .npy holds at least as many labels, and no more are read; None reads all

    Raises ConfigError in one line when the file is missing, damaged, hostile, or contradicts itself.
    """
    is_results = _ending(path) in ENDINGS
    with open_plain(path, "results" if is_results else WHAT, ConfigError) as file:
        head = file.read(len(MAGIC))
    if head == MAGIC or not (is_results or head.startswith(ZIP)):
        content, n = open_labels(path, total)
        for _ in content.read(CHUNK):
            pass
        return ResultsFile(path, n, content)
    content = open_csv(path) if _ending(path) == ".csv" and not head.startswith(ZIP) else open_npz(path)
    return ResultsFile(path, sum(map(len, content.read(CHUNK))), content)


def _ending(path: str) -> str:
    return Path(path).suffix.lower()
