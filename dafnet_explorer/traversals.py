"""Cached images of one anatomy under many z: traversals, what lies between two z, and whether anatomies stay.

Shared and private as those of `results.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from dafnet_core.analysis.directions import Direction, dimensions
from dafnet_core.analysis.style_codes import StyleRenderer
from dafnet_core.analysis.traversal import (
    Traversal,
    condition,
    interpolate,
    kept_share,
    render_conditioned,
    steps_between,
    traverse,
    traverse_one,
)
from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.methods.base import FactorModel
from dafnet_core.methods.decomposition import Decomposition
from dafnet_explorer.caches import cached
from dafnet_explorer.results import estimate_of
from dafnet_explorer.subjects import Subject


def _digest(s: np.ndarray) -> str:
    labels = s.argmax(0).astype(np.uint8)
    return hashlib.blake2b(labels.tobytes() + repr(labels.shape).encode(), digest_size=16).hexdigest()


@cached(4)
def _conditioning(digest: str, anatomy: str, _model: FactorModel, _s: np.ndarray) -> Any:
    return condition(_model, _s)


def rendered(checkpoint: Checkpoint, s: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Image (H, W) of an anatomy (C, H, W) with z (n_z,); what does not depend on z is computed once."""
    conditioning = _conditioning(checkpoint.digest, _digest(s), checkpoint.model, s)
    return render_conditioned(checkpoint.model, conditioning, z[None])[0]


@cached(16, "Traversing z")
def _traversal(
    digest: str,
    anatomy: str,
    z: tuple[float, ...],
    steps: int,
    directions: tuple[tuple[float, ...], ...],
    _model: FactorModel,
    _s: np.ndarray,
) -> Traversal:
    return traverse(_model, _s, np.array(z), steps_between(count=steps), np.array(directions))


def traversal(
    checkpoint: Checkpoint, s: np.ndarray, z: np.ndarray, steps: int, directions: Sequence[Direction] = ()
) -> Traversal:
    """Traversal of z (n_z,) with an anatomy (C, H, W), along every dimension unless directions are given."""
    vectors = tuple(tuple(map(float, d.vector)) for d in directions or dimensions(len(z)))
    return _traversal(checkpoint.digest, _digest(s), tuple(map(float, z)), steps, vectors, checkpoint.model, s)


def style_traversal(checkpoint: Checkpoint, subject: Subject, i: int, steps: int) -> Traversal:
    """Traversal of the style code of image i, for methods that have content and style in place of factors."""
    estimate, modality = estimate_of(checkpoint, subject), subject.modalities[i]
    z = tuple(map(float, estimate.style[i]))
    vectors = tuple(tuple(map(float, d.vector)) for d in dimensions(len(z)))
    decoder = StyleRenderer(checkpoint.model, modality)
    place = f"{checkpoint.digest} {modality}", subject.digest
    return _traversal(*place, z, steps, vectors, decoder, estimate.content[i])


@cached(16)
def _frames(
    digest: str,
    anatomy: str,
    z: tuple[float, ...],
    direction: tuple[float, ...],
    count: int,
    _model: FactorModel,
    _s: np.ndarray,
) -> np.ndarray:
    return traverse_one(_model, _s, np.array(z), np.array(direction), steps_between(count=count))


def frames(checkpoint: Checkpoint, s: np.ndarray, z: np.ndarray, direction: Direction, count: int) -> np.ndarray:
    """Images (count, H, W) over many steps of z along a direction with an anatomy (C, H, W)."""
    vector = tuple(map(float, direction.vector))
    return _frames(checkpoint.digest, _digest(s), tuple(map(float, z)), vector, count, checkpoint.model, s)


@cached(16)
def _between(
    digest: str,
    anatomy: str,
    start: tuple[float, ...],
    end: tuple[float, ...],
    count: int,
    _model: FactorModel,
    _s: np.ndarray,
) -> np.ndarray:
    return interpolate(_model, _s, np.array(start), np.array(end), count)


def between(checkpoint: Checkpoint, s: np.ndarray, start: np.ndarray, end: np.ndarray, count: int) -> np.ndarray:
    """Images (count, H, W) of an anatomy (C, H, W) with z from `start` to `end` (n_z,), both included."""
    ends = tuple(map(float, start)), tuple(map(float, end))
    return _between(checkpoint.digest, _digest(s), *ends, count, checkpoint.model, s)


@cached(64)  # a few numbers, which take longest of all
def _kept(
    digest: str,
    anatomy: str,
    z: tuple[float, ...],
    modality: int,
    _model: FactorModel,
    _s: np.ndarray,
    _images: np.ndarray,
) -> np.ndarray:
    return kept_share(_model, _images, modality, _s)


def kept_channels(
    checkpoint: Checkpoint, decomposition: Decomposition, i: int, moved: Traversal
) -> tuple[float, np.ndarray]:
    """Shares of pixels that keep their channel in image i's anatomy when images decoded from it are encoded again.

    Args:
        moved: traversal of all dimensions with that anatomy.

    Returns:
        Of the image's own reconstruction; and (n_z, 2) of the images at both ends of every dimension.
    """
    s, z = decomposition.s[i], tuple(map(float, decomposition.z_mean[i]))
    modality = checkpoint.config.modalities.index(decomposition.names[i])
    images = np.concatenate([decomposition.own[i][None], *moved.images[:, [0, -1]]])
    shares = _kept(checkpoint.digest, _digest(s), z, modality, checkpoint.model, s, images)
    return float(shares[0]), shares[1:].reshape(-1, 2)
