"""The networks of the paper, one idea each (Fig. 3)."""
