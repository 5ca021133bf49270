"""SDNet (Chartsias et al. 2019): one anatomy encoder, no alignment; otherwise the networks of DAFNet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dafnet_core.config import ModelConfig
from dafnet_core.networks.blocks import one_hot
from dafnet_core.networks.decoders import decode, make_decoder
from dafnet_core.networks.encoders import DownPath, ModalityEncoder, Segmentor, UpPath, sample_z
from dafnet_core.networks.inference import (
    check_size,
    identity_alignment,
    known_modalities,
    predict_without_alignment,
    reconstruct,
)
from dafnet_core.precision import inference_autocast
from dafnet_core.types import Alignment, Batch, Noise, Prediction, Reconstruction


@dataclass(frozen=True)
class SDNetOutputs:
    """Outputs of one training forward, of the M columns of a batch.

    Attributes:
        mean, logvar: (M, B, n_z) of q(z | x, s).
        logits: (M, B, L, H, W) of the classes.
        images: (M, B, H, W) reconstructions g(s, z).
        z_prior, z_reencoded: (M, B', n_z): samples of N(0, I), and the means of z encoded from their images.
    """

    mean: Tensor
    logvar: Tensor
    logits: Tensor
    images: Tensor
    z_prior: Tensor
    z_reencoded: Tensor


class SDNet(nn.Module):
    """Anatomy encoder, modality encoder, segmentor and decoder, each shared by all images."""

    aligns = False

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.down, self.up = DownPath(config), UpPath(config)
        self.modality_encoder = ModalityEncoder(config)
        self.segmentor = Segmentor(config)
        self.decoder = make_decoder(config)

    def encode(self, images: Tensor) -> Tensor:
        """One-hot anatomies (N, C, H, W) of images (N, 1, H, W) of any modality in [-1, 1]."""
        return one_hot(self._channel_logits(images))

    def _channel_logits(self, images: Tensor) -> Tensor:
        check_size(self.config, *images.shape[2:])
        return self.up(self.down(images))

    def channel_logits(self, images: Tensor, modalities: Sequence[int] | None = None) -> Tensor:
        """Logits (n, B, C, H, W) of the channels of images (B, n, H, W), which are encoded alike."""
        return self._channel_logits(images.transpose(0, 1).flatten(0, 1)[:, None]).unflatten(0, images.shape[1::-1])

    def encode_modality(self, s: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z | x, s), (B, n_z) each, from (B, C, H, W) and (B, 1, H, W)."""
        return self.modality_encoder(s, images)

    def segment(self, s: Tensor) -> Tensor:
        """Class logits h(s): (B, C, H, W) -> (B, L, H, W), class 0 is the background."""
        return self.segmentor(s)

    def decode(self, s: Tensor, z: Tensor) -> Tensor:
        """Image g(s, z): (B, C, H, W), (B, n_z) -> (B, 1, H, W) in [-1, 1]."""
        return decode(self.decoder, s, z)

    def align(self, moving: Tensor, fixed: Tensor) -> Alignment:
        """The anatomy `moving` as it is: SDNet has no alignment."""
        return identity_alignment(moving, self.config.control_points)

    def pairing(self, fixed: Tensor, deformed: Tensor) -> Tensor:
        """Equal weights (B, K) of candidates (B, K, C, H, W): SDNet weighs nothing."""
        return deformed.new_full(deformed.shape[:2], 1 / deformed.shape[1])

    def forward(self, batch: Batch, noise: Noise) -> SDNetOutputs:
        """Everything that the training losses need; z of `noise.drawn` is encoded again with the anatomy it came from.

        Args:
            batch: M columns of images, of one modality each or of the target alone, which makes no difference here.
            noise: of the M columns, on the same device.
        """
        x = batch.images[:, :, 0].transpose(0, 1)  # (M, B, H, W)
        lead, images = x.shape[:2], x.flatten(0, 1)[:, None]
        s = self.encode(images)
        mean, logvar = self.encode_modality(s, images)
        z, z_prior = sample_z(mean, logvar, noise.z.flatten(0, 1)), noise.drawn
        again = s.unflatten(0, lead)[:, : z_prior.shape[1]].flatten(0, 1)
        y = self.decode(torch.cat([s, again]), torch.cat([z, z_prior.flatten(0, 1)]))
        z_reencoded = self.encode_modality(again, y[len(s) :])[0] if len(again) else z_prior.flatten(0, 1)
        return SDNetOutputs(
            mean=mean.unflatten(0, lead),
            logvar=logvar.unflatten(0, lead),
            logits=self.segment(s).unflatten(0, lead),
            images=y[: len(s), 0].unflatten(0, lead),
            z_prior=z_prior,
            z_reencoded=z_reencoded.unflatten(0, z_prior.shape[:2]),
        )

    @torch.inference_mode()
    def predict(
        self, images: Tensor, modalities: Sequence[int] | None = None, *, precision: str = "auto"
    ) -> Prediction:
        """Anatomies and masks of images (B, n, H, W) or (B, n, K, H, W), of which candidate 0 is looked at.

        Arguments and errors are those of `DAFNet.predict`; all masks are those of the image's own anatomy.
        """
        with inference_autocast(images.device, precision):
            x = images if images.ndim == 4 else images[:, :, 0]
            b, n = x.shape[:2]
            known = known_modalities(self.config, modalities, n)
            s = self.encode(x.transpose(0, 1).reshape(n * b, 1, *x.shape[2:]))
            probs = self.segment(s).softmax(1)
            lead = (n, b)
            return predict_without_alignment(
                s.unflatten(0, lead), probs.unflatten(0, lead), known, self.config.control_points
            )

    @torch.inference_mode()
    def reconstruct(self, prediction: Prediction, images: Tensor) -> Reconstruction:
        """Modality factors and decoded images of a prediction and its images; see `inference.reconstruct`."""
        return reconstruct(self, prediction, images)
