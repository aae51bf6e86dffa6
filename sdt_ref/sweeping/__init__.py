"""Quantisation as a paper shows it: accuracy over a grid of register widths and time steps.

grid.py     the points of a grid, and what came of each
running.py  calibrate and evaluate, point by point; what is finished is kept
table.py    the rows for a paper: CSV, LaTeX, Markdown, JSON
screen.py   the rows on a screen
"""
