"""Where slices come from: the phantom, files of all kinds, and their preparation for a model."""
