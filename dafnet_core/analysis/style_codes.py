"""The style code of MUNIT as a modality factor: one content under many styles, encoded again (Huang et al. 2018).

Each modality has an encoder and a decoder of its own, so an image of a style is of the modality whose decoder made it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from dafnet_core.analysis.traversal import render
from dafnet_core.metrics.segmentation import dice_from_counts, nanmean, overlap_counts
from dafnet_core.networks.munit import content_channels
from dafnet_core.networks.translation import MunitNetworks

BATCH = 8  # images encoded at once


class StyleRenderer:
    """MUNIT's decoder of one modality, with content (4 content_width, H / 4, W / 4) for the anatomy of `render`.

    Args:
        modality: index of theirs; raises ValueError where there is none.
    """

    def __init__(self, networks: MunitNetworks, modality: int) -> None:
        if not 0 <= modality < len(networks.config.modalities):
            raise ValueError(f"modality is {modality}; this model knows 0 to {len(networks.config.modalities) - 1}")
        self.config = replace(networks.config, channels=content_channels(networks.config))
        self.decoder = self
        self._networks, self._modality = networks, modality

    def parameters(self) -> Iterator[nn.Parameter]:
        return self._networks.parameters()

    def condition(self, content: Tensor) -> Tensor:
        return content

    def render(self, content: Tensor, z: Tensor) -> Tensor:
        """Images (N, 1, H, W) of content (1, C, H / 4, W / 4) with styles (N, n_z)."""
        return self._networks.decoder[self._modality](content.expand(len(z), -1, -1, -1), z)


@dataclass(frozen=True, eq=False)
class StyleMixture:
    """Images of R content codes (rows) with K styles (columns), each encoded again.

    Attributes:
        images: (R, K, H, W) in [-1, 1].
        content_change: (R, K) mean absolute change of the content, encoded again, as a share of its mean absolute
            value: 0 where all of it stays.
        dice: (R, K) Dice of the mask of each image against that of the row's own, mean over the classes that the latter
            has; NaN where it has none.
        style_error: (R, K) mean absolute difference of the style, encoded again, from the column's.
    """

    images: np.ndarray
    content_change: np.ndarray
    dice: np.ndarray
    style_error: np.ndarray


def mix_styles(
    networks: MunitNetworks, content: np.ndarray, masks: np.ndarray, styles: np.ndarray, modalities: Sequence[int]
) -> StyleMixture:
    """Decode every content code with every style, and encode each image again.

    Args:
        networks: in eval mode.
        content: (R, C, H / 4, W / 4); masks: (R, H, W) labels of the same images.
        styles: (K, n_z).
        modalities: (K,) index of the modality whose decoder and encoders a style is for.

    Raises:
        ValueError: content or styles do not fit the networks, or not one modality for each style.
    """
    if len(modalities) != len(styles) or len(masks) != len(content):
        raise ValueError(
            f"{len(modalities)} modalities for {len(styles)} styles, {len(masks)} masks for {len(content)} contents; "
            "expected one each"
        )
    images = [
        [render(StyleRenderer(networks, m), code, style[None])[0] for style, m in zip(styles, modalities, strict=True)]
        for code in content
    ]
    made = np.array(images, np.float32)
    change, dice, error = (np.empty(made.shape[:2]) for _ in range(3))
    for k, m in enumerate(modalities):
        codes, found, labels = encode_again(networks, made[:, k], m)
        change[:, k] = _change(codes, content)
        error[:, k] = np.abs(found - styles[k]).mean(1)
        for r, mask in enumerate(masks):
            dice[r, k] = nanmean(dice_from_counts(overlap_counts(labels[r], mask, len(networks.config.classes))))
    return StyleMixture(made, change, dice, error)


def content_change(networks: MunitNetworks, images: np.ndarray, modality: int, content: np.ndarray) -> np.ndarray:
    """How much of a content code images of it change, as `StyleMixture` defines it.

    Args:
        images: (N, H, W) in [-1, 1], decoded from `content` (C, H / 4, W / 4) by the decoder of a modality.

    Returns:
        (N,), at least 0.
    """
    return _change(encode_again(networks, images, modality)[0], content[None])


def encode_again(
    networks: MunitNetworks, images: np.ndarray, modality: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Content (N, C, H / 4, W / 4), styles (N, n_z) and labels (N, H, W) of images (N, H, W) of one modality."""
    weight = next(iter(networks.parameters()))
    parts = [
        networks.predict(part, (modality,))
        for part in torch.from_numpy(np.array(images)).to(weight)[:, None].split(BATCH)
    ]
    content = torch.cat([p.content[0] for p in parts]).float().cpu().numpy()
    styles = torch.cat([p.style[0] for p in parts]).float().cpu().numpy()
    labels = torch.cat([p.probs[0].argmax(1) for p in parts]).to(torch.uint8).cpu().numpy()
    return content, styles, labels


def _change(found: np.ndarray, content: np.ndarray) -> np.ndarray:
    differences = np.abs(found - content).mean((1, 2, 3))
    return (differences / np.abs(content).mean((1, 2, 3)).clip(1e-12)).astype(np.float64)
