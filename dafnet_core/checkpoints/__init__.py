"""Checkpoints: the file, the typed schema of what it tells, and its card."""
