"""Training on any device and in any number of processes."""
