"""Measures of generated pairs that several test files share."""

import numpy as np

from dafnet_core.data.phantom import TISSUES


def same(first, second):
    arrays = ("images", "masks", "displacement", "tissue")
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in arrays)


def dice(truth, other):
    """Mean over the classes that the truth has."""
    scores = [
        2 * np.sum((truth == label) & (other == label)) / (np.sum(truth == label) + np.sum(other == label))
        for label in (1, 2, 3)
        if np.any(truth == label)
    ]
    return float(np.mean(scores))


def nearest(labels, sampling):
    columns, rows = (np.clip(np.rint(sampling[..., axis]), 0, len(labels) - 1).astype(int) for axis in (0, 1))
    return labels[rows, columns]


def signal_of(pair, modality, tissue):
    """Mean signal well inside a tissue of the reference, in images without motion."""
    return float(pair.images[modality][pair.tissue == TISSUES.index(tissue)].mean())


def areas(pairs):
    """Pixels of each class at each phase, over all slices: (P, 4)."""
    return np.stack([[np.sum(pair.frame_masks == label, axis=(1, 2)) for label in range(4)] for pair in pairs]).sum(0).T
