"""The golden-reference kit: what the fixed-point machine did, recorded, compared, exported and measured.

trace_file   the file that holds one run, register by register; writing, how a run gets into it
dumps        what a design under test wrote, in any of the forms that simulators write
differences  the first difference, and all others
replay       each stage restarted from what the dump says it read
packing      rows of numbers as hexadecimal words, and back
export       vectors for RTL; corners, the directed ones
widths       ranges, widths and depths that a run needed
"""
