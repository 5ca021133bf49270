"""Directions in the space of z that are found in the factors of several subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dafnet_core.metrics.probe import modality_normals


@dataclass(frozen=True, eq=False)
class Direction:
    """A direction of z.

    Attributes:
        name: short, such as z1, PC1 or "to LGE".
        vector: (n_z,) of length 1.
        about: how it was found, in a few words.
    """

    name: str
    vector: np.ndarray
    about: str = ""


def dimensions(n_z: int) -> tuple[Direction, ...]:
    """The dimensions of z."""
    return tuple(Direction(f"z{d + 1}", vector) for d, vector in enumerate(np.eye(n_z)))


def principal_directions(z: np.ndarray, count: int = 3) -> tuple[Direction, ...]:
    """The directions in which z varies most between images (principal components), at most `count`.

    Each points to where its largest component is positive, since its sign is arbitrary.

    Args:
        z: (n, n_z) of several images.

    Raises:
        ValueError: fewer than two images, or a z that is the same in all.
    """
    from sklearn.decomposition import PCA  # here, as in `probe`

    if len(z) < 2 or not np.ptp(z, axis=0).any():
        raise ValueError(f"z of {len(z)} images does not vary, so it has no principal components")
    pca = PCA(min(count, *z.shape)).fit(np.asarray(z, np.float64))
    found = []
    for n, (vector, share) in enumerate(zip(pca.components_, pca.explained_variance_ratio_, strict=True)):
        signed = vector * np.sign(vector[np.abs(vector).argmax()])
        found.append(Direction(f"PC{n + 1}", signed, f"{share:.0%} of the variance"))
    return tuple(found)


def modality_directions(z: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> tuple[Direction, ...]:
    """Directions in which a linear probe sees one modality turn into another: the normals of its boundaries.

    Args:
        z: (n, n_z).
        labels: (n,) modality of each row, an index of `names`; all must occur.
        names: of two modalities, between which there is one direction, or of more, each with one against the others.

    Raises:
        ValueError: errors of `modality_normals`.
    """
    normals = modality_normals(z, labels)
    if len(names) == 2:
        return (Direction(f"to {names[1]}", normals[0], f"probe: {names[0]} or {names[1]}"),)
    return tuple(
        Direction(f"to {name}", normal, f"probe: {name} or another")
        for name, normal in zip(names, normals, strict=True)
    )
