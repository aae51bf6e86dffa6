"""Currents in, events out: leaky integrate-and-fire neurons with a hard reset."""

from .bitset import ONE, lowest_bit
from .policy import kernel
from .vector import PANEL, charge


@kernel
def fire(current, count, decay, threshold, membrane, channels, n_spikes, per_row):
    """Step `count` positions of LIF or PLIF neurons through all time steps, from rest.

    h = v + (x - v) * decay;  spike if h >= threshold;  v = 0 after a spike, else h

    Two roundings before the comparison, as in the official torch backend. For the LIF, decay is 1/tau = 0.5, and
    times 0.5 is bit for bit the official division by 2.0; for the PLIF it is sigmoid(w).

    Parameters
    ----------
    current : float[P, T, n, PANEL]
        input x at [:, :, :count]; 0 in lanes that pad the last panel, so that they stay silent
    decay, threshold : float
        of the same type as current; the threshold is positive
    membrane : float[PANEL]
        scratch
    channels : uint16[T, at least count * C]
        written: for each time step the spiking channels, in order of (position, channel)
    n_spikes : int64[T]
        written: spikes of each time step
    per_row : int64[T, n]
        written at [:, :count]: spikes of each row

    Source: spikingjelly 0.0.0.0.12, MultiStepLIFNode and MultiStepParametricLIFNode.
    """
    n_panels, n_steps, n_places, _ = current.shape
    for t in range(n_steps):
        n_spikes[t] = 0
        for i in range(count):
            per_row[t, i] = 0
    for i in range(count):
        for p in range(n_panels):
            for o in range(PANEL):
                membrane[o] = 0
            for t in range(n_steps):
                fired = charge(current, ((p * n_steps + t) * n_places + i) * PANEL, membrane, decay, threshold)
                before = n_spikes[t]
                n = before
                while fired != 0:
                    channels[t, n] = p * PANEL + lowest_bit(fired)
                    n += 1
                    fired &= fired - ONE
                n_spikes[t] = n
                per_row[t, i] += n - before
