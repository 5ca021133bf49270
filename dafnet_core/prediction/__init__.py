"""Predictions of whole subjects on the grids of their own files: see `slices`, `volumes`, `record` and `folder`."""
