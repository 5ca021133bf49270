"""Measures, one a file: their requirements, values of each slice, and summaries."""
