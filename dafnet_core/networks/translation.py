"""MUNIT with a segmentor: of images translated to the target (Translation), or of content codes (DADR).

MUNIT's terms and the segmentor's are computed in one step: what the segmentor sees is detached, so that neither changes
the other, as if the segmentor were trained afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dafnet_core.config import ModelConfig
from dafnet_core.networks.inference import check_size, known_modalities
from dafnet_core.networks.munit import ContentEncoder, StyleDecoder, StyleEncoder, content_channels
from dafnet_core.networks.unet import UNet
from dafnet_core.precision import inference_autocast
from dafnet_core.types import Batch, Noise


@dataclass(frozen=True)
class MunitOutputs:
    """Outputs of one training forward pass; pair p is `pairs[p] = (fixed i, moving j)`.

    Attributes:
        pairs: ordered pairs of modalities.
        content: (M, B, C, H / 4, W / 4).
        images: (M, B, H, W), own images decoded with their own style.
        z_prior: (M, B, n_z) styles from N(0, I).
        translated: (P, B, H, W), the content of j with the style z_prior[i].
        content_again: (P, B, C, H / 4, W / 4), z_again (P, B, n_z): those of `translated`, by the encoders of i.
        cycled: (P, B, H, W), `translated` back to j with j's own style.
        logits: (U, B, L, H, W) of the segmentor, from detached images or content; labelled: of each of the U, the
            modality whose mask belongs to it.
    """

    pairs: tuple[tuple[int, int], ...]
    content: Tensor
    images: Tensor
    z_prior: Tensor
    translated: Tensor
    content_again: Tensor
    z_again: Tensor
    cycled: Tensor
    logits: Tensor
    labelled: tuple[int, ...]


@dataclass(frozen=True)
class MunitPrediction:
    """Results for n images of each of B slices.

    Attributes:
        probs: (n, B, L, H, W) of the classes.
        own: (n, B, H, W) reconstructions in [-1, 1].
        content: (n, B, C, H / 4, W / 4).
        style: (n, B, n_z).
    """

    probs: Tensor
    own: Tensor
    content: Tensor
    style: Tensor


class MunitNetworks(nn.Module):
    """MUNIT's encoders and decoder of each modality, and a segmentor of maps of `segmented` channels."""

    def __init__(self, config: ModelConfig, segmented: int = 1) -> None:
        super().__init__()
        self.config = config
        self.content = nn.ModuleList(ContentEncoder(config) for _ in config.modalities)
        self.style = nn.ModuleList(StyleEncoder(config) for _ in config.modalities)
        self.decoder = nn.ModuleList(StyleDecoder(config) for _ in config.modalities)
        self.segmentor = UNet(config, segmented)

    def forward(self, batch: Batch, noise: Noise) -> MunitOutputs:
        """Everything that the training losses need; each image of a batch is translated to every other modality."""
        x = batch.images[:, :, 0].transpose(0, 1)[:, :, None]  # (M, B, 1, H, W)
        m, z = len(x), noise.z
        check_size(self.config, *x.shape[3:])
        content = [self.content[i](x[i]) for i in range(m)]
        style = [self.style[i](x[i]) for i in range(m)]
        pairs = tuple(permutations(range(m), 2))
        translated = [self.decoder[i](content[j], z[i]) for i, j in pairs]
        content_again = [self.content[i](y) for (i, _), y in zip(pairs, translated, strict=True)]
        z_again = [self.style[i](y) for (i, _), y in zip(pairs, translated, strict=True)]
        cycled = [self.decoder[j](c, style[j]) for (_, j), c in zip(pairs, content_again, strict=True)]
        made = MunitOutputs(
            pairs,
            content=torch.stack(content),
            images=torch.stack([self.decoder[i](content[i], style[i]) for i in range(m)])[:, :, 0],
            z_prior=z,
            translated=torch.stack(translated)[:, :, 0],
            content_again=torch.stack(content_again),
            z_again=torch.stack(z_again),
            cycled=torch.stack(cycled)[:, :, 0],
            logits=x[:0],
            labelled=(),
        )
        return self._segmented(made, x)

    def _segmented(self, made: MunitOutputs, x: Tensor) -> MunitOutputs:
        """The outputs with logits of what the segmentor is trained on; x (M, B, 1, H, W) are the images."""
        raise NotImplementedError

    def segment(self, x: Tensor, modality: int) -> Tensor:
        """Logits (B, L, H, W) of images (B, 1, H, W) of a modality."""
        raise NotImplementedError

    @torch.inference_mode()
    def predict(
        self, images: Tensor, modalities: Sequence[int] | None = None, *, precision: str = "auto"
    ) -> MunitPrediction:
        """Results for images (B, n, H, W) in [-1, 1].

        Raises:
            ValueError: a size that does not fit the poolings, an unknown modality or precision.
        """
        known = known_modalities(self.config, modalities, images.shape[1])
        check_size(self.config, *images.shape[2:])
        with inference_autocast(images.device, precision):
            each = [(images[:, n, None], m) for n, m in enumerate(known)]
            probs = [self.segment(x, m).softmax(1) for x, m in each]
            content = [self.content[m](x) for x, m in each]
            style = [self.style[m](x) for x, m in each]
            own = [self.decoder[m](c, z)[:, 0] for c, z, (_, m) in zip(content, style, each, strict=True)]
        return MunitPrediction(torch.stack(probs), torch.stack(own), torch.stack(content), torch.stack(style))


class TranslationNetworks(MunitNetworks):
    """The segmentor sees images of the target, and those of other modalities translated to it."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.target = config.modalities.index(config.target)

    def _segmented(self, made: MunitOutputs, x: Tensor) -> MunitOutputs:
        sources = [p for p, (i, _) in enumerate(made.pairs) if i == self.target]
        seen = torch.cat([x[self.target, :, 0][None], made.translated[sources].detach()])
        logits = self.segmentor([seen.flatten(0, 1)[:, None]]).unflatten(0, seen.shape[:2])
        return replace(made, logits=logits, labelled=(self.target, *(made.pairs[p][1] for p in sources)))

    def segment(self, x: Tensor, modality: int) -> Tensor:
        """Logits of images of the target; others are translated to it first, with the prior's mean for style."""
        if modality != self.target:
            style = x.new_zeros(len(x), self.config.z_dim)
            x = self.decoder[self.target](self.content[modality](x), style)
        return self.segmentor([x])


class ContentNetworks(MunitNetworks):
    """The segmentor sees the content code of all modalities, enlarged to the size of the image."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config, segmented=content_channels(config))

    def _segmented(self, made: MunitOutputs, x: Tensor) -> MunitOutputs:
        content = made.content.detach()
        logits = self._segment_content(content.flatten(0, 1)).unflatten(0, content.shape[:2])
        return replace(made, logits=logits, labelled=tuple(range(len(x))))

    def _segment_content(self, content: Tensor) -> Tensor:
        return self.segmentor([F.interpolate(content, scale_factor=4, mode="nearest")])

    def segment(self, x: Tensor, modality: int) -> Tensor:
        """Logits of the content of images."""
        return self._segment_content(self.content[modality](x))
