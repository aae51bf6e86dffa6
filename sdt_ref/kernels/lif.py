"""Currents in, events out: leaky integrate-and-fire neurons with a hard reset."""

from .bitset import BITS_OF_BYTE, append
from .policy import kernel
from .vector import PANEL, lif_step


@kernel
def lif_steps(current, count, leak, threshold, membrane, fired):
    """Step `count` positions of LIF or PLIF neurons through all time steps, from rest.

    h = v + (x - v) * leak;  spike if h >= threshold;  v = 0 after a spike, else h

    Two roundings before the comparison, as in the official torch backend. For the LIF, leak is 1/tau = 0.5, and
    times 0.5 is bit for bit the official division by 2.0; for the PLIF it is sigmoid(w).

    Parameters
    ----------
    current : float[P, T, n, PANEL], or float[P, 1, n, PANEL] for one that is the same at every time step
        input x at [:, :, :count]; 0 in lanes that pad the last panel, so that they stay silent
    leak, threshold : float
        of the same type as current; the threshold is positive
    membrane : float[PANEL]
        scratch
    fired : uint64[P, T, n]
        written at [:, :, :count]: bit k is set where channel k of the panel spikes

    Source: spikingjelly 0.0.0.0.12, MultiStepLIFNode and MultiStepParametricLIFNode.
    """
    n_panels, n_frames, n_places, _ = current.shape
    for p in range(n_panels):
        for i in range(count):
            for o in range(PANEL):
                membrane[o] = 0
            for t in range(fired.shape[1]):
                frame = t if n_frames > 1 else 0
                place = ((p * n_frames + frame) * n_places + i) * PANEL
                fired[p, t, i] = lif_step(current, place, membrane, leak, threshold)


@kernel
def list_events(fired, count, channels, per_row):
    """Turn bit masks of spikes into event lists.

    Parameters
    ----------
    fired : uint64[P, T, n]
        read at [:, :, :count]
    channels : uint16[at least T * count * C + SLACK]
        written: the spiking channels, in order of (time step, position, channel); lanes that pad a panel never spike
    per_row : int64[T, n]
        written at [:, :count]: spikes of each row

    Returns
    -------
    int64
        number of spikes
    """
    n_events = 0
    for t in range(fired.shape[1]):
        for i in range(count):
            before = n_events
            for p in range(fired.shape[0]):
                n_events = append(fired[p, t, i], p * PANEL, channels, n_events, BITS_OF_BYTE)
            per_row[t, i] = n_events - before
    return n_events
