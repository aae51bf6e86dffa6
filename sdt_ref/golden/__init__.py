"""The golden-reference kit: what a run did, recorded and compared; of the fixed-point machine, exported and measured.

trace_file   the file that holds one run; hashing and content, what makes it whole
writing      how a run gets into it, taken down by recorders
dumps        what a design under test wrote, in any of the forms that simulators write; or a network, as PyTorch has it
differences  the first difference, and all others
replay       each stage restarted from what the dump says it read
packing      rows of numbers as hexadecimal words, and back
export       vectors for RTL; corners, the directed ones
widths       ranges, widths and depths that a run needed
"""
