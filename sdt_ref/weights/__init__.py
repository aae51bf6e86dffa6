"""What a network is: its wiring as a list, its tensors and settings, in a file that ships or was converted."""

from .file import DEFAULT, DEFAULT_OF_RECORDINGS, Weights, load, save, shipped_path

__all__ = ["DEFAULT", "DEFAULT_OF_RECORDINGS", "Weights", "load", "save", "shipped_path"]
