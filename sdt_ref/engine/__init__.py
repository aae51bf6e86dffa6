"""How a stage is computed: spikes as lists of events, currents in tiles, threads, what is counted and kept."""
