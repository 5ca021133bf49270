"""A method judged on a data set: measures, each slice by slice and then summarised, and their typed results."""
