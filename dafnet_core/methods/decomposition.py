"""One slice decomposed by a model with factors, as plain arrays.

Used by the pages and by `python -m dafnet_core.evaluate`, so that both show the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dafnet_core.geometry import grid_to_pixels
from dafnet_core.methods.pieces import masks_from

if TYPE_CHECKING:
    from dafnet_core.methods.base import FactorModel

OF_MODALITIES = frozenset(  # arrays with a row a modality; all others have one a pair
    ("images", "s", "fused", "z_mean", "z_std", "single", "fused_masks", "probabilities", "own")
)


@dataclass(frozen=True)
class Decomposition:
    """Factors, masks and images of one slice in n modalities; pair p is `pairs[p] = (fixed i, moving j)`.

    Attributes:
        names: of the n modalities.
        images: (n, H, W) float32 in [-1, 1].
        s: (n, C, H, W) float32 one-hot anatomies.
        deformed: (P, C, H, W) float32 anatomy of j in frame i; channels sum to 1.
        fused: (n, C, H, W) float32, pixel-wise maximum.
        positions: (P, H, W, 2) float64 xy in pixels: where in j each pixel of frame i is sampled.
        offsets: (P, control points, 2) xy in [-1, 1] units.
        weights: (P, K) pair weights of the candidates, summing to 1.
        z_mean, z_std: (n, n_z) of q(z | x, s).
        single, fused_masks: (n, H, W) uint8 labels; deformed_masks: (P, H, W).
        probabilities: (n, L, H, W) float32, of the classes in the fused masks; they sum to 1.
        own: (n, H, W) float32 g(s_i, z_i); cross: (P, H, W) g(s_j in frame i, z_i);
            swapped: (P, H, W) g(s_i, z_j), the anatomy of i in the style of j.
        aligned: whether the model aligns anatomies; without, positions are the identity, and deformed anatomies and
            cross images those of the other modality where it lies.
        target: the only modality that the model serves, "" for all: of others there are factors and no predictions.
    """

    names: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...]
    images: np.ndarray
    s: np.ndarray
    deformed: np.ndarray
    fused: np.ndarray
    positions: np.ndarray
    offsets: np.ndarray
    weights: np.ndarray
    z_mean: np.ndarray
    z_std: np.ndarray
    single: np.ndarray
    deformed_masks: np.ndarray
    fused_masks: np.ndarray
    probabilities: np.ndarray
    own: np.ndarray
    cross: np.ndarray
    swapped: np.ndarray
    aligned: bool = True
    target: str = ""

    @property
    def served(self) -> tuple[int, ...]:
        """Which of the n modalities the model serves."""
        return tuple(i for i, name in enumerate(self.names) if self.target in ("", name))

    def only_served(self) -> Decomposition:
        """The same without the modalities that the model does not serve, and without pairs with them."""
        served = list(self.served)
        kept = [p for p, pair in enumerate(self.pairs) if set(pair) <= set(served)]
        arrays: dict[str, Any] = {
            name: values[served if name in OF_MODALITIES else kept]
            for name, values in vars(self).items()
            if isinstance(values, np.ndarray)
        }
        pairs = tuple((served.index(self.pairs[p][0]), served.index(self.pairs[p][1])) for p in kept)
        return replace(self, names=tuple(self.names[i] for i in served), pairs=pairs, **arrays)


def decompose(model: FactorModel, images: np.ndarray, modalities: tuple[int, ...] | None = None) -> Decomposition:
    """Decompose one slice into factors, and compute masks and images from them (Sec. III).

    Args:
        model: in eval mode.
        images: (n, H, W) float32 in [-1, 1], n >= 1; or (n, K, H, W) with K candidates, of which the first is the
            slice itself: masks are then weighted over candidates, everything else is that of the first.
        modalities: index of each image's modality in the model; the first n by default.

    Raises:
        ValueError: H or W does not fit the model's poolings, or an unknown modality.
    """
    device = next(iter(model.parameters())).device
    x = torch.from_numpy(np.array(images, np.float32, order="C"))[None].to(device)
    prediction = model.predict(x, modalities)
    reconstruction = model.reconstruct(prediction, x)

    def array(values: torch.Tensor) -> np.ndarray:
        return values.cpu().numpy()

    def labels(probs: torch.Tensor) -> np.ndarray:
        return masks_from(probs[:, 0], model.config)

    return Decomposition(
        names=tuple(model.config.modalities[m] for m in prediction.modalities),
        pairs=prediction.pairs,
        images=np.asarray(images if images.ndim == 3 else images[:, 0], np.float32),
        s=array(prediction.s[:, 0, 0]),
        deformed=array(prediction.deformed[:, 0, 0]),
        fused=array(prediction.fused[:, 0, 0]),
        positions=grid_to_pixels(array(prediction.grid[:, 0, 0]).astype(np.float64)),
        offsets=array(prediction.offsets[:, 0, 0]),
        weights=array(prediction.weights[:, 0]),
        z_mean=array(reconstruction.mean[:, 0]),
        z_std=array(torch.exp(reconstruction.logvar[:, 0] / 2)),
        single=labels(prediction.single),
        deformed_masks=labels(prediction.deformed_masks),
        fused_masks=labels(prediction.fused_masks),
        probabilities=array(prediction.fused_masks[:, 0].float()),
        own=array(reconstruction.own[:, 0]),
        cross=array(reconstruction.cross[:, 0, 0]),
        swapped=array(reconstruction.swapped[:, 0]),
        aligned=model.aligns,
        target=model.config.target,
    )
