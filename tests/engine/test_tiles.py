"""Threads where Python starts no more of them: the model computes alone, and the same bits."""

import os
import subprocess
import sys

import pytest

CHILD = """
import atexit, os, threading, time
from unittest import mock

def again():
    for record, expected in (before or {}).items():
        print(record, computed(record) == expected, flush=True)

def in_a_fork():
    child = os.fork()
    if child == 0:
        again()
        os._exit(0)
    os.waitpid(child, 0)

def late():
    threading.main_thread().join()
    while not closed():
        time.sleep(0.01)
    again()

def closed():  # the pools are, the first thing that the interpreter does at its end
    try:
        return bool(tiles._pool(3).submit(int).result())
    except RuntimeError:
        return True

EARLY
from sdt_ref.engine import tiles, token_parallel
from tests.equality import small_tiles
from tests.networks import Network, input_of, model_of

network = Network(depth=2, height=8, width=8, pooling_stat="0000")
model, x = model_of(network, threads=3), input_of(network)
started = []

def computed(in_ranks):
    ranks = 16 if in_ranks else 1 << 60
    with small_tiles(64), mock.patch.object(token_parallel, "WORTH_A_RANK", ranks):
        result = model(x, record="currents")
    return result.logits.tobytes(), *(current.tobytes() for current in result.currents.values())

for module in (tiles, token_parallel):
    def counted(*arguments, start=module.start, name=module.__name__):
        started.append(name)
        return start(*arguments)
    module.start = counted
before = {in_ranks: computed(in_ranks) for in_ranks in (False, True)}
assert set(started) == {tiles.__name__, token_parallel.__name__}
LATE
"""

ENDS = {  # what stands before the import, and behind the first run
    "atexit": ("", "atexit.register(again)"),
    "atexit, registered before the import": ("atexit.register(again)", ""),
    "threading's atexit": ("", "threading._register_atexit(again)"),
    "threading's atexit, registered before the import": ("threading._register_atexit(again)", ""),
    "a thread that outlives the main thread": ("", "threading.Thread(target=late).start()"),
    "a fork": ("", "in_a_fork()"),
    "a fork at exit": ("", "atexit.register(in_a_fork)"),
}


@pytest.mark.slow
@pytest.mark.parametrize("end", ENDS)
def test_the_model_computes_while_the_interpreter_ends(end: str) -> None:
    """Both kinds of threads, those of the tiles and those that keep their tokens."""
    if "fork" in end and not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    early, late = ENDS[end]
    script = CHILD.replace("EARLY", early).replace("LATE", late)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=600)
    assert (done.returncode, done.stdout) == (0, "False True\nTrue True\n"), done.stderr
