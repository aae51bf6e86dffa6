"""The network, as the paper's figure 2 draws it: one file for each box."""
