"""Data sources: the phantom and medical image files, their preparation, pairing and splits."""
