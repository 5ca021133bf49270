"""Latent traversals: the effect of each dimension of z, or of any direction, on an image (Sec. V-H.2, Fig. 9).

The decoder is conditioned on an anatomy once, however many z are rendered with it. A direction is a vector of length 1:
since the prior of z is N(0, I), the coordinate of z along it has standard deviation 1, like a dimension.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from dafnet_core.config import ModelConfig
from dafnet_core.methods.base import FactorModel
from dafnet_core.precision import inference_autocast

LIMIT = 3.0  # traversals go from -3 to 3 standard deviations of the prior, as in the paper
STILL = 0.01  # intensities in [-1, 1]: no correlation is computed for pixels that change by less
BATCH = 2  # images rendered at once on a CPU; more leave its caches and are slower
ENCODED = 8  # images encoded at once on a CPU


@dataclass(frozen=True, eq=False)
class Traversal:
    """Images of one anatomy while z moves along one of n directions at a time: by default its n_z dimensions.

    Attributes:
        values: (steps,) of the coordinate along the direction, ascending, in standard deviations of the prior.
        z: (n_z,) from which it starts; what is perpendicular to the direction stays.
        images: (n, steps, H, W) float32 in [-1, 1].
    """

    values: np.ndarray
    z: np.ndarray
    images: np.ndarray

    @property
    def correlation(self) -> np.ndarray:
        """(n, H, W) Pearson correlation of value and intensity; NaN where a pixel changes by less than STILL."""
        v = self.values - self.values.mean()
        x = self.images.astype(np.float64)
        x = x - x.mean(1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.einsum("s,dshw->dhw", v, x) / np.sqrt((v**2).sum() * (x**2).sum(1))
        return np.where(np.ptp(self.images, axis=1) < STILL, np.nan, values)

    @property
    def difference(self) -> np.ndarray:
        """(n, H, W) image at the largest value minus image at the smallest, in [-2, 2]."""
        return self.images[:, -1] - self.images[:, 0]

    @property
    def effect(self) -> np.ndarray:
        """(n,) mean absolute difference over the image: the effect of each direction."""
        return np.abs(self.difference).mean((1, 2))


def steps_between(limit: float = LIMIT, count: int = 7) -> np.ndarray:
    """An odd number of values from -limit to limit, so that 0 is among them.

    Raises:
        ValueError: an even number, fewer than three, or a limit that is not above 0.
    """
    if count < 3 or count % 2 == 0:
        raise ValueError(f"steps are {count}; expected an odd number from 3 on")
    if not limit > 0:
        raise ValueError(f"limit is {limit}; expected more than 0")
    return np.linspace(-limit, limit, count)


class Renderer(Protocol):
    """The part of `FactorModel` that renders images of an anatomy."""

    config: ModelConfig
    decoder: Any

    def parameters(self) -> Iterator[nn.Parameter]: ...


@torch.inference_mode()
def condition(model: Renderer, s: np.ndarray) -> Any:
    """The part of decoding an anatomy (C, H, W) that no z changes, for `render_conditioned`.

    Raises:
        ValueError: s does not fit the model.
    """
    if s.ndim != 3 or len(s) != model.config.channels:
        raise ValueError(f"s is {s.shape}; expected ({model.config.channels}, H, W) for this model")
    return model.decoder.condition(torch.from_numpy(np.array(s))[None].to(next(iter(model.parameters()))))


@torch.inference_mode()
def render_conditioned(model: Renderer, conditioning: Any, z: np.ndarray) -> np.ndarray:
    """Images (N, H, W) in [-1, 1] of a conditioned anatomy under z (N, n_z), of the model's precision.

    Raises:
        ValueError: z does not fit the model.
    """
    weight = next(iter(model.parameters()))
    if z.ndim != 2 or z.shape[1] != model.config.z_dim:
        raise ValueError(f"z is {z.shape}; expected (N, {model.config.z_dim}) for this model")
    styles = torch.from_numpy(np.array(z)).to(weight)
    batch = BATCH if weight.device.type == "cpu" else 64
    parts = [model.decoder.render(conditioning, part)[:, 0].cpu() for part in styles.split(batch)]
    return torch.cat(parts).numpy()


def render(model: Renderer, s: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Images of one anatomy under many z, from ONE `condition(s)`.

    Args:
        s: (C, H, W) anatomy.
        z: (N, n_z).

    Returns:
        (N, H, W) in [-1, 1], of the model's precision (float32 as it is loaded).

    Raises:
        ValueError: s or z does not fit the model.
    """
    return render_conditioned(model, condition(model, s), z)


def _moved(z: np.ndarray, direction: np.ndarray, values: np.ndarray) -> np.ndarray:
    z = np.asarray(z, np.float64)
    return z + np.outer(values - z @ direction, direction)


def traverse_one(
    model: Renderer, s: np.ndarray, z: np.ndarray, direction: np.ndarray, values: np.ndarray
) -> np.ndarray:
    """Images of one anatomy while z moves along one direction.

    Args:
        s: (C, H, W) anatomy.
        z: (n_z,) from which it starts.
        direction: (n_z,) of length 1; row d of the identity for dimension d.
        values: (N,) of the coordinate along it.

    Returns:
        (N, H, W) in [-1, 1].
    """
    return render(model, s, _moved(z, direction, values))


def traverse(
    model: Renderer,
    s: np.ndarray,
    z: np.ndarray,
    values: np.ndarray | None = None,
    directions: np.ndarray | None = None,
) -> Traversal:
    """Move z over `values` along each direction in turn, from the same start.

    Args:
        s: (C, H, W) anatomy.
        z: (n_z,), such as the posterior mean of an image.
        values: (steps,), seven from -3 to 3 by default.
        directions: (n, n_z) of length 1; the n_z dimensions by default.

    Raises:
        ValueError: directions that are not of length 1, or not of z.
    """
    values = steps_between() if values is None else np.asarray(values, np.float64)
    directions = np.eye(len(z)) if directions is None else np.asarray(directions, np.float64)
    if directions.shape[1:] != np.shape(z) or not np.allclose(np.linalg.norm(directions, axis=-1), 1, atol=1e-6):
        raise ValueError(
            f"directions are {directions.shape} of lengths {np.linalg.norm(directions, axis=-1)}; expected "
            f"(n, {len(z)}) of length 1"
        )
    moved = np.concatenate([_moved(z, direction, values) for direction in directions])
    images = render(model, s, moved)
    return Traversal(values, np.asarray(z, np.float64), images.reshape(len(directions), len(values), *images.shape[1:]))


@torch.inference_mode()
def kept_share(model: FactorModel, images: np.ndarray, modality: int, s: np.ndarray) -> np.ndarray:
    """Encode images again: the share of pixels that get the channel that they have in an anatomy.

    1 for every image of a traversal would mean that moving z changes no position that the encoder sees.

    Args:
        images: (N, H, W) in [-1, 1].
        modality: index of theirs in the model.
        s: (C, H, W) anatomy that they were decoded from.

    Returns:
        (N,) in [0, 1].
    """
    weight = next(iter(model.parameters()))
    batch = ENCODED if weight.device.type == "cpu" else 64
    parts = torch.from_numpy(np.array(images)).to(weight)[:, None].split(batch)
    with inference_autocast(weight.device):  # as in `predict`, whose segmentor is not needed
        labels = torch.cat([model.channel_logits(part, (modality,))[0].argmax(1).cpu() for part in parts])
    same = labels == torch.from_numpy(s.argmax(0))
    return same.double().mean((1, 2)).numpy()


def interpolate(model: Renderer, s: np.ndarray, start: np.ndarray, end: np.ndarray, steps: int = 7) -> np.ndarray:
    """Images (steps, H, W) of one anatomy for z interpolated linearly from `start` to `end` (n_z,), both included."""
    return render(model, s, np.linspace(start, end, steps))


def sheet(
    model: Renderer, s: np.ndarray, z: np.ndarray, dimensions: tuple[int, int], values: np.ndarray | None = None
) -> np.ndarray:
    """Images over two dimensions of z at once: [a, b] has values[a] in the first, values[b] in the second.

    Returns:
        (steps, steps, H, W) float32 in [-1, 1].

    Raises:
        ValueError: dimensions that are the same, or that z does not have.
    """
    n = len(z)
    if len(set(dimensions)) != 2 or not all(0 <= d < n for d in dimensions):
        raise ValueError(f"dimensions are {dimensions}; expected two different ones from 0 to {n - 1}")
    values = steps_between() if values is None else np.asarray(values, np.float64)
    moved = np.tile(np.asarray(z, np.float64), (len(values), len(values), 1))
    moved[..., dimensions[0]] = values[:, None]
    moved[..., dimensions[1]] = values
    images = render(model, s, moved.reshape(-1, n))
    return images.reshape(len(values), len(values), *images.shape[1:])
