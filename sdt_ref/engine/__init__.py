"""How a stage is computed: spikes as lists of events, currents in tiles, threads, what is counted and kept.

A line such as `s = self.q_lif(self.q_conv(s), run)` reads like PyTorch, but `q_conv(s)` adds nothing. It returns a
current, which holds the events and knows how to fill a tile. The neurons pull that tile, step through all T time steps
while it is in the cache, and list what fires. Between a weight layer and the neurons that pull it, no current of all
positions ever exists.

    q_lif(current, run)                    neuron.py     one tile of positions a thread
      |
      |  run.tiles.work(n, size, worker)   tiles.py      draws tiles; each thread makes a worker of its own
      v
    worker                                 neuron.py     scratch for one tile: currents, membranes, fired bits
      |
      |  fill(panels, first, count, ..)    synapse.py    the current is pulled here
      v
    kernels.add_rows                       kernels/      bias, then one row of weights per event, in canonical order
      |  sums [panels, T, count, PANEL]
      v
    kernels.lif_steps                      kernels/      charge, fire, reset at each step; a bit for each neuron
      |  fired [panels, T, count]
      v
    kernels.list_events                    kernels/      bits to ascending channels
      |
      v
    Tile -> SpikeEvents.from_kernel        events.py     the tiles, joined in their order

A residual stream is held in memory instead: `storing.py` pulls the same tiles into a `StoredCurrent`.
"""
