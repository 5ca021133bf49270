"""Continuous content codes as pictures: their principal components."""

from __future__ import annotations

import numpy as np


def principal_maps(content: np.ndarray, count: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """The first principal components of content codes, the same for all images.

    Args:
        content: (n, C, h, w), of n images.
        count: of components, at most C.

    Returns:
        Maps (n, count, h, w) in units of each component's standard deviation over all pixels (0 where it has none),
        and the share of the variance that each explains, (count,). A component's sign is that of its largest weight.

    Raises:
        ValueError: more components than channels.
    """
    n, channels, height, width = content.shape
    if not 1 <= count <= channels:
        raise ValueError(f"count is {count}; expected 1 to the {channels} channels")
    pixels = content.transpose(0, 2, 3, 1).reshape(-1, channels).astype(np.float64)
    pixels = pixels - pixels.mean(0)
    variances, vectors = np.linalg.eigh(pixels.T @ pixels / len(pixels))
    variances, vectors = variances[::-1][:count].clip(0), vectors[:, ::-1][:, :count]
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(0), np.arange(count)])
    scores = pixels @ vectors / np.sqrt(np.maximum(variances, 1e-12))
    total = max(float(pixels.var(0).sum()), 1e-12)
    return scores.reshape(n, height, width, count).transpose(0, 3, 1, 2), variances / total
