"""Scripts run by hand from the top of the repository, as in `python -m tools.screenshots OUT`."""
