"""What a run keeps besides its result."""

import numpy as np

from sdt_ref import SpikeEvents
from sdt_ref.engine.monitor import Monitor
from tests.networks import Network, input_of, model_of


def test_what_is_added_is_kept_under_its_name() -> None:
    monitor = Monitor(spikes=True, numbers=True)
    events = SpikeEvents.from_dense(np.ones((1, 1, 1), np.uint8))
    current, stream, sums = np.zeros(2), np.ones(3), np.full(4, 2)
    monitor.add_spikes("hook", events)
    monitor.add_neurons("neurons", current, None)  # in floating point there are no sums
    monitor.add_stream("layer", stream, sums)
    assert monitor.spikes == {"hook": events}
    assert monitor.currents == {"neurons": current}
    assert monitor.streams == {"layer": stream}
    assert monitor.sums == {"layer": sums}


def test_a_run_keeps_what_is_asked_for() -> None:
    n = Network(batch=1)
    model, x = model_of(n), input_of(n)
    for record, spikes, numbers in ((False, False, False), (True, True, False), ("currents", True, True)):
        result = model(x, record=record)
        assert (bool(result.spikes), bool(result.currents), bool(result.streams)) == (spikes, numbers, numbers)
