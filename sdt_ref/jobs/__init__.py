"""A job: one computation over a whole data set, in chunks that are kept as they finish, here or on a cluster.

job.py        what is computed, on what; a chunk of it
identity.py   what a run is: weights, data, settings, code; and never how it was computed
folder.py     OUTPUT.parts, where finished chunks lie until the last one is there
ahead.py      the next samples, read while the network computes
running.py    the chunks of a job, in the order of the data, wherever they come from
cluster.py    the chunks computed by the workers of dask.distributed
at_worker.py  what runs on a worker: weights by their digest, data where they lie, one chunk at a time
connecting.py a client of processes that are started here, or of a scheduler; in silence
"""
