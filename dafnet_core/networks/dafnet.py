"""DAFNet: disentangle, align, fuse, segment, decode (Chartsias et al., Sec. III, Fig. 2).

The module keeps no state: every call returns all of its results.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dafnet_core.config import ModelConfig
from dafnet_core.networks.aligner import fuse, make_aligner
from dafnet_core.networks.blocks import one_hot
from dafnet_core.networks.decoders import decode, make_decoder
from dafnet_core.networks.encoders import AnatomyEncoder, ChannelsAsMasks, ModalityEncoder, Segmentor, sample_z
from dafnet_core.networks.inference import check_size, reconstruct
from dafnet_core.networks.pairing import PairWeighting, fused_weights
from dafnet_core.precision import inference_autocast
from dafnet_core.types import Alignment, Batch, Noise, PairOutputs, Prediction, Reconstruction


class DAFNet(nn.Module):
    """All networks that a checkpoint holds; discriminators are in discriminators.py."""

    aligns = True

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.anatomy_encoder = AnatomyEncoder(config)
        self.modality_encoder = ModalityEncoder(config)
        self.aligner = make_aligner(config)
        self.segmentor = Segmentor(config) if config.segmentor == "on" else ChannelsAsMasks()
        self.decoder = make_decoder(config)
        self.pairing = PairWeighting(config)

    def check_size(self, height: int, width: int) -> None:
        """Check that an image size in pixels fits the poolings; raises ValueError if not."""
        check_size(self.config, height, width)

    def encode(self, images: Tensor, modalities: Sequence[int] | None = None) -> Tensor:
        """Anatomy factors s_i = f_anatomy(x_i | phi_i, rho) (Sec. III-A).

        Args:
            images: (B, n, K, H, W) in [-1, 1], H and W multiples of `config.multiple`.
            modalities: index of each of the n modalities in the model; all of them by default.

        Returns:
            (n, B, K, C, H, W) one-hot.

        Raises:
            ValueError: a size that does not fit the poolings, or another number of modalities.
        """
        b, n, k = images.shape[:3]
        return one_hot(self._channel_logits(images, modalities)).unflatten(0, (n, b, k))

    def _channel_logits(self, images: Tensor, modalities: Sequence[int] | None = None) -> Tensor:
        """Logits (n * B * K, C, H, W) of the channels, modality by modality; arguments and errors of `encode`."""
        b, n, k, height, width = images.shape
        modalities = range(len(self.config.modalities)) if modalities is None else modalities
        self.check_size(height, width)
        if len(modalities) != n:
            raise ValueError(f"images hold {n} modalities; expected {len(modalities)}")
        flat = [images[:, i].reshape(b * k, 1, height, width) for i in range(n)]
        return self.anatomy_encoder.logits(flat, modalities)

    def channel_logits(self, images: Tensor, modalities: Sequence[int] | None = None) -> Tensor:
        """Logits (n, B, C, H, W) of the channels of images (B, n, H, W); the largest one's channel is 1 in s."""
        return self._channel_logits(images[:, :, None], modalities).unflatten(0, images.shape[1::-1])

    def encode_modality(self, s: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z | x, s) (Sec. III-A), (B, n_z) each, from (B, C, H, W) and (B, 1, H, W)."""
        return self.modality_encoder(s, images)

    def align(self, moving: Tensor, fixed: Tensor) -> Alignment:
        """Deform the anatomy `moving` into the frame of `fixed`, both (B, C, H, W) (Sec. III-B)."""
        return self.aligner(moving, fixed)

    def segment(self, s: Tensor) -> Tensor:
        """Class logits h(s) (Sec. III-C): (B, C, H, W) -> (B, L, H, W), class 0 is the background."""
        return self.segmentor(s)

    def decode(self, s: Tensor, z: Tensor) -> Tensor:
        """Image g(s, z) (Sec. III-D): (B, C, H, W), (B, n_z) -> (B, 1, H, W) in [-1, 1]."""
        return decode(self.decoder, s, z)

    def _align_pairs(self, s: Tensor, pairs: Sequence[tuple[int, int]]) -> tuple[Alignment, Tensor]:
        """Every candidate of j into frame i for all ordered pairs: fields (P, B, K, ...), weights (P, B, K)."""
        lead = (len(pairs), *s.shape[1:3])
        moving = torch.stack([s[j] for _, j in pairs])  # (P, B, K, C, H, W)
        fixed = torch.stack([s[i, :, :1] for i, _ in pairs]).expand_as(moving)
        a = self.align(moving.flatten(0, 2), fixed.flatten(0, 2))
        weights = self.pairing(fixed[:, :, 0].flatten(0, 1), a.deformed.unflatten(0, (-1, lead[2])))
        alignment = Alignment(*(t.unflatten(0, lead) for t in (a.deformed, a.grid, a.offsets)))
        return alignment, weights.unflatten(0, lead[:2])

    def forward(self, batch: Batch, noise: Noise) -> PairOutputs:
        """Everything that the training losses need, in one pass (Sec. III, Fig. 2).

        Args:
            batch: images of all M modalities.
            noise: on the same device; L_rec^z is computed on as many samples as `noise.drawn` has, and styles are
                swapped in `noise.swapped` of them.
        """
        b, m, k = batch.images.shape[:3]
        channel_logits = self._channel_logits(batch.images)
        s = one_hot(channel_logits).unflatten(0, (m, b, k))
        pairs = tuple(permutations(range(m), 2))
        own, x = s[:, :, 0], batch.images[:, :, 0].transpose(0, 1)  # (M, B, C, H, W), (M, B, H, W)
        mean, logvar = self.encode_modality(own.flatten(0, 1), x.reshape(m * b, 1, *x.shape[2:]))
        z = sample_z(mean, logvar, noise.z.flatten(0, 1))
        aligned, weights = self._align_pairs(s, pairs)

        parts = [*own, *aligned.deformed.flatten(1, 2)]
        if noise.fused:
            parts = [*parts, *_fuse_all(s.detach(), aligned.deformed.detach(), pairs).flatten(1, 2)]  # compiles
        logits = self._segment_apart(parts)

        z, mean, fixed = z.unflatten(0, (m, b)), mean.unflatten(0, (m, b)), [i for i, _ in pairs]
        z_fixed = torch.stack([z[i] for i in fixed])[:, :, None].expand(-1, -1, k, -1)
        z_prior, drawn, swapped = noise.drawn, noise.drawn.shape[1], noise.swapped
        z_swapped = torch.stack([mean[i, :swapped] for i in fixed]).detach()
        again = torch.cat([*own[:, :drawn], *(own[j, :swapped] for _, j in pairs)])
        styles = torch.cat([z.flatten(0, 1), z_fixed.flatten(0, 2), z_prior.flatten(0, 1), z_swapped.flatten(0, 1)])
        images = self.decode(torch.cat([own.flatten(0, 1), aligned.deformed.flatten(0, 2), again]), styles)
        sizes = [m * b, len(pairs) * b * k]
        y_own, y_deformed, *y_again = images.split([*sizes, *[drawn] * m, *[swapped] * len(pairs)])
        z_again, again_logits = self._encode_again(y_again, [*range(m), *fixed])
        z_reencoded, z_swapped_reencoded = z_again.split([m * drawn, len(pairs) * swapped])
        logits_own, logits_deformed, logits_fused = logits.split([*sizes, len(logits) - sum(sizes)])
        return PairOutputs(
            pairs=pairs,
            s=s,
            mean=mean,
            logvar=logvar.unflatten(0, (m, b)),
            z=z,
            deformed=aligned.deformed,
            offsets=aligned.offsets,
            grid=aligned.grid[:, :, 0],
            weights=weights,
            logits=logits_own.unflatten(0, (m, b)),
            deformed_logits=logits_deformed.unflatten(0, (-1, b, k)),
            fused_logits=logits_fused.unflatten(0, (m, b, k if noise.fused else 0)),
            images=y_own[:, 0].unflatten(0, (m, b)),
            deformed_images=y_deformed[:, 0].unflatten(0, (-1, b, k)),
            z_prior=z_prior,
            z_reencoded=z_reencoded.unflatten(0, (m, drawn)),
            z_swapped=z_swapped,
            z_swapped_reencoded=z_swapped_reencoded.unflatten(0, (len(pairs), swapped)),
            again=again.argmax(1),
            again_logits=again_logits.float(),
            channel_logits=channel_logits.float().unflatten(0, (m, b, k))[:, :, 0],
            changed_logits=None if batch.changed is None else self._changed(batch.changed),
            flipped_images=None if noise.flips is None else self._flipped(own, z, noise.flips),
        )

    def _changed(self, images: Tensor) -> Tensor:
        """Channel logits (M, B, C, H, W) of images (B, M, H, W) with other intensities."""
        return self.channel_logits(images).float()

    def _flipped(self, own: Tensor, z: Tensor, flips: Tensor) -> Tensor:
        """Images (M, B, H, W) of anatomies (M, B, C, H, W) some of whose pixels are flipped to other channels."""
        other = F.one_hot(flips.clamp_min(0), own.shape[2]).movedim(-1, 2).to(own.dtype)
        s = torch.where((flips >= 0)[:, :, None], other, own)
        return self.decode(s.flatten(0, 1), z.flatten(0, 1))[:, 0].unflatten(0, own.shape[:2])

    def _segment_apart(self, parts: Sequence[Tensor]) -> Tensor:
        """Logits of several anatomies, concatenated; without batch statistics over modalities, as in the paper."""
        if self.config.norm == "batch" and self.training:
            return torch.cat([self.segment(part) for part in parts])
        return self.segment(torch.cat(list(parts)))

    def _encode_again(self, images: Sequence[Tensor], modalities: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Means of z and channel logits of synthetic images, concatenated, by the encoders of their modalities."""
        some = [(x, i) for x, i in zip(images, modalities, strict=True) if len(x)]
        if not some:
            empty = images[0]
            return empty.new_zeros(0, self.config.z_dim), empty.new_zeros(0, self.config.channels, *empty.shape[2:])
        images, modalities = zip(*some, strict=True)
        logits = self.anatomy_encoder.logits(images, modalities)
        return self.encode_modality(one_hot(logits), torch.cat(images))[0], logits

    @torch.inference_mode()
    def predict(
        self, images: Tensor, modalities: Sequence[int] | None = None, *, precision: str = "auto"
    ) -> Prediction:
        """Anatomies, alignments, fused anatomies and masks at inference (Sec. III-B, III-F).

        Args:
            images: (B, n, H, W), or (B, n, K, H, W) with k candidates, in [-1, 1]; n >= 1.
            modalities: index in the model of each given modality; the first n by default.
            precision: of the convolutions, fp32 or bf16; auto is bf16 where the processor computes in it, and
                fp32 elsewhere (benchmarks/predict.json: fastest, and 0.02 % of mask pixels differ).

        Returns:
            Prediction; with candidates, masks are weighted sums (Sec. III-F).

        Raises:
            ValueError: as in `encode`, an unknown modality, or an unknown precision.
        """
        with inference_autocast(images.device, precision):
            return self._predict(images if images.ndim == 5 else images[:, :, None], modalities)

    def _predict(self, images: Tensor, modalities: Sequence[int] | None) -> Prediction:
        modalities = tuple(range(images.shape[1])) if modalities is None else tuple(modalities)
        if max(modalities) >= len(self.config.modalities) or min(modalities) < 0:
            raise ValueError(f"modalities are {modalities}; this model knows 0 to {len(self.config.modalities) - 1}")
        s = self.encode(images, modalities)
        n, b, k = s.shape[:3]
        pairs = tuple(permutations(range(n), 2))
        if not pairs:
            probs = self.segment(s[:, :, 0].flatten(0, 1)).softmax(1).unflatten(0, (n, b))
            points, plane = self.config.control_points**2, s.shape[-2:]
            return Prediction(
                modalities,
                pairs,
                s,
                deformed=s[:0],
                grid=s.new_zeros(0, b, k, *plane, 2),
                offsets=s.new_zeros(0, b, k, points, 2),
                weights=s.new_zeros(0, b, k),
                fused=s[:, :, :1],
                single=probs,
                deformed_masks=probs[:0],
                fused_masks=probs,
            )

        aligned, weights = self._align_pairs(s, pairs)
        fused = _fuse_all(s, aligned.deformed, pairs)
        parts = [s[:, :, 0].flatten(0, 1), aligned.deformed.flatten(0, 2), fused.flatten(0, 2)]
        probs = self.segment(torch.cat(parts)).softmax(1).split([len(p) for p in parts])
        return Prediction(
            modalities,
            pairs,
            s,
            deformed=aligned.deformed,
            grid=aligned.grid,
            offsets=aligned.offsets,
            weights=weights,
            fused=fused,
            single=probs[0].unflatten(0, (n, b)),
            deformed_masks=_weighted(probs[1].unflatten(0, (-1, b, k)), weights),
            fused_masks=_weighted(probs[2].unflatten(0, (n, b, k)), fused_weights(weights, pairs)),
        )

    @torch.inference_mode()
    def reconstruct(self, prediction: Prediction, images: Tensor) -> Reconstruction:
        """Modality factors and images decoded again from a prediction's anatomies (Sec. III-D).

        Args:
            prediction: of these images.
            images: (B, n, H, W) or (B, n, K, H, W) as given to `predict`; candidate 0 is reconstructed.
        """
        return reconstruct(self, prediction, images)


def _weighted(masks: Tensor, weights: Tensor) -> Tensor:
    """m = w_1 h_1 + ... + w_k h_k (Sec. III-F): (N, B, K, L, H, W), (N, B, K) -> (N, B, L, H, W)."""
    return (masks * weights[..., None, None, None]).sum(2) if masks.shape[2] > 1 else masks[:, :, 0]


def _fuse_all(s: Tensor, deformed: Tensor, pairs: Sequence[tuple[int, int]]) -> Tensor:
    """Each own anatomy (candidate 0) fused with candidate k of all others: (n, B, K, C, H, W)."""
    return torch.stack(
        [
            fuse([s[i, :, :1].expand_as(s[i]), *(deformed[p] for p, (f, _) in enumerate(pairs) if f == i)])
            for i in range(len(s))
        ]
    )
