"""What a run costs: operations as the engine counted them, their energy, and what the paper's formula says instead.

account     one run as a table: stage, kind of operation, time step
technology  picojoules per operation, with their sources
formula     the paper's estimate, and the vanilla Transformer of equal size
published   the paper's figures, and what explains them
chunk       what a chunk of pictures cost, as whole numbers
average     many pictures: the chunks added up, means and spreads
official    the statistic of the official script, its divisor included
summary     all of it together; screen prints it, table writes it by layer, for a paper
"""
