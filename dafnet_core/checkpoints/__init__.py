"""Checkpoints: the file, the typed schema of its metadata, and its model card."""
