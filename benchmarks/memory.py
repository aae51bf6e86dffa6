"""Peak memory of a whole process that runs one image of SDT-8-768."""

CODE = """
import resource, sys
import numpy as np
from benchmarks.networks import drawn
from sdt_ref.model import SpikeDrivenTransformer
size = int(sys.argv[1])
weights = drawn(768, 8, size)
nbytes = sum(tensor.nbytes for tensor in weights.tensors.values())
model = SpikeDrivenTransformer(weights, threads=2)
del weights
model(np.zeros((1, 3, size, size), np.float32))
print(nbytes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""
