"""Measurements on factors, masks and images, as pure functions of arrays."""
