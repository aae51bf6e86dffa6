"""What a network is: tensors and settings, in a file that ships or was converted; folded once."""

from .file import DEFAULT, DEFAULT_OF_RECORDINGS, Weights, load, save, shipped_path

__all__ = ["DEFAULT", "DEFAULT_OF_RECORDINGS", "Weights", "load", "save", "shipped_path"]
