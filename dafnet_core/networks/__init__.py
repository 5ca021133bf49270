"""The networks of the paper, one a file (Fig. 3)."""
