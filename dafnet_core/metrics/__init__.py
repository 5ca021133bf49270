"""Functions of arrays: overlap, warps, probes, dependence, paired differences."""
