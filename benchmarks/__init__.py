"""Scripts that measure; run each from the top of the repository, as in `python -m benchmarks.train_step`."""
