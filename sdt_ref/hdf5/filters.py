"""The filters that an array may be behind: few in a file of ours, those that lose nothing in a recording."""

import importlib.util

import h5py

from ..errors import LONGEST_VALUE, one_line, shown
from .refused import Refused

OWN = {1: "gzip", 2: "shuffle", 32000: "lzf"}
OTHERS = {*OWN, 3}  # and Fletcher's sum; szip, which HDF5 brings too, ends the process when damaged
PLUGINS = {307: "bzip2", 32001: "Blosc", 32004: "LZ4", 32008: "Bitshuffle", 32015: "Zstandard", 32026: "Blosc2"}
ECF = 0x8ECF  # Prophesee's number of its own
EXTRA = "in the folder of sdt_ref: pip install '.[events]'"


def require_own(number: int, path: str) -> None:
    """Refuse a filter that no file of ours has."""
    if number not in OWN:
        names = ", ".join(OWN.values())
        raise Refused(f"array {shown(path)}: expected no filters but {names}, found filter {number}")


def require_available(number: int, path: str) -> None:
    """Refuse a filter of a recording that is missing, or that may not keep numbers as they are."""
    path = one_line(path, LONGEST_VALUE)
    if number not in {*OTHERS, *PLUGINS, ECF}:
        raise Refused(f"expected array {path} compressed without loss, found filter {number}; save it with gzip")
    if number in PLUGINS and importlib.util.find_spec("hdf5plugin") is not None:
        importlib.import_module("hdf5plugin")  # brings its filters
    if h5py.h5z.filter_avail(number):
        return
    if number in PLUGINS:
        raise Refused(f"array {path} is compressed with {PLUGINS[number]}, which needs the package hdf5plugin; {EXTRA}")
    if number == ECF:
        raise Refused(
            f"array {path} is compressed with Prophesee's ECF, which needs their HDF5 plugin hdf5_ecf; install that, "
            "or take the RAW file"
        )
    raise Refused(f"array {path} is compressed with filter {number}, which this h5py lacks; save it with gzip")
