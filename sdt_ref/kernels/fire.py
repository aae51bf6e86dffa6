"""Currents in, events out: leaky integrate-and-fire neurons with a hard reset."""

from .bitset import ONE, lowest_bit
from .policy import kernel
from .vector import VECTOR_BYTES, charge


@kernel
def fire(current, count, decay, threshold, membrane, channels, per_row):
    """Step `count` positions of LIF or PLIF neurons through all time steps, from rest.

    h = v + (x - v) * decay;  spike if h >= threshold;  v = 0 after a spike, else h

    Two roundings before the comparison, as in the official torch backend. For the LIF, decay is 1/tau = 0.5, and
    times 0.5 is bit for bit the official division by 2.0; for the PLIF it is sigmoid(w).

    Parameters
    ----------
    current : float[T, n, C]
        input x at [:, :count]
    decay, threshold : float
        of the same type as current
    membrane : float[n, C]
        scratch
    channels : uint16[at least T * count * C]
        written: the spiking channels, in order of (time step, position, channel)
    per_row : int64[T, n]
        written at [:, :count]: spikes of each row

    Returns
    -------
    int64
        number of spikes

    Source: spikingjelly 0.0.0.0.12, MultiStepLIFNode and MultiStepParametricLIFNode.
    """
    n_places, n_channels = current.shape[1:]
    lanes = VECTOR_BYTES // current.itemsize
    whole = n_channels - n_channels % lanes  # channels in whole vectors
    for i in range(count):
        for c in range(n_channels):
            membrane[i, c] = 0
    n_spikes = 0
    for t in range(current.shape[0]):
        for i in range(count):
            before = n_spikes
            for c in range(0, whole, lanes):
                place = (t * n_places + i) * n_channels + c
                fired = charge(current, place, membrane, i * n_channels + c, decay, threshold)
                while fired != 0:
                    channels[n_spikes] = c + lowest_bit(fired)
                    n_spikes += 1
                    fired &= fired - ONE
            for c in range(whole, n_channels):
                v = membrane[i, c]
                h = v + (current[t, i, c] - v) * decay
                if h >= threshold:
                    membrane[i, c] = 0
                    channels[n_spikes] = c
                    n_spikes += 1
                else:
                    membrane[i, c] = h
            per_row[t, i] = n_spikes - before
    return n_spikes
