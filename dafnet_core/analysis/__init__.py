"""Analyses of factors, masks and images, most of which need a model with factors (Sec. V)."""
