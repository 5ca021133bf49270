"""Evaluation of a method on a data set: measures, computed by slice and then summarised, and their typed results."""
