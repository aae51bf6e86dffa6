"""A checkpoint's file opened: what it holds, as dictionaries, lists and tensors whose numbers are still in the file."""

import pickle
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import SdtError, WeightsError, reason_of
from ..files import open_plain
from .made import CallRefused, Made
from .recognise import PICKLE, ZIP, pickle_entry, recognise
from .safetensors_file import read_safetensors
from .stored import as_tensor
from .torch_file import NotPyTorchError, is_module, opened_zip, read_legacy, read_zip

# what damaged bytes raise in zipfile, pickletools, json and in the readers here
DAMAGE = (
    *(OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError),
    *(NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error, struct.error, pickle.UnpicklingError),
)
ALONE = "Save its state_dict alone, and convert that"


@contextmanager
def opened(path: Path) -> Iterator[tuple[dict[Any, Any], BinaryIO]]:
    """Yield the dictionary that a checkpoint holds, and its file; tensors can be read inside of the `with`.

    Beside their numbers, what a file of any size and content takes here is at most about a gigabyte.

    Raises WeightsError for a file that is none, is damaged, or calls what makes no value.
    """
    with open_plain(path, "checkpoint", WeightsError) as file, damage_named(path):
        kind = recognise(path, file)
        if kind == ZIP:
            with opened_zip(file) as archive:
                yield _dictionary(path, read_zip(archive, pickle_entry(path, archive))), file
        else:
            yield _dictionary(path, read_legacy(file) if kind == PICKLE else read_safetensors(file)), file


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turn what damaged bytes raise into one line."""
    try:
        yield
    except SdtError:
        raise
    except CallRefused as error:
        raise WeightsError(
            f"checkpoint '{path}' pickles a call of '{error.name}': expected only tensors and plain settings; it was "
            f"not executed. {ALONE}"
        ) from None
    except NotPyTorchError:
        raise WeightsError(
            f"checkpoint '{path}': expected a file of torch.save, found a pickle that PyTorch did not write"
        ) from None
    except DAMAGE as error:
        raise WeightsError(
            f"checkpoint '{path}': expected a PyTorch file, found one that cannot be read ({reason_of(error)}); it may "
            "be cut short, download it again"
        ) from None


def _dictionary(path: Path, content: Any) -> dict[Any, Any]:
    if is_module(content):
        raise WeightsError(
            f"checkpoint '{path}': expected a dictionary, found a pickled module ({content.of}); save its "
            "state_dict(), and convert that"
        )
    if isinstance(content, dict):
        return content
    if isinstance(content, Made) and content.items:  # a class of dictionaries
        return content.items
    if as_tensor(content) is not None:
        found = "Tensor"
    else:
        found = str(content.of) if isinstance(content, Made) else type(content).__name__
    raise WeightsError(f"checkpoint '{path}': expected a dictionary, found {found}")
