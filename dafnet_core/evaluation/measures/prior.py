"""Do styles drawn from the prior keep the anatomy and themselves (not in the paper)?"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from dafnet_core.evaluation.base import Context, ScoredSlice
from dafnet_core.methods.pieces import masks_from
from dafnet_core.metrics.segmentation import dice_per_class, nanmean

DRAWS = 10  # of z for each image


@dataclass(frozen=True)
class PriorSummary:
    """Images g(s, z) with z from N(0, I), encoded again by their own modality's encoder.

    Attributes:
        dice_kept: Dice of their masks against the mask of s, over the classes that it contains.
        channels_kept: share of pixels that keep their channel.
        z_l1: mean absolute difference of z and the posterior mean.
    """

    dice_kept: float | None = None
    channels_kept: float | None = None
    z_l1: float | None = None


class PriorStyles:
    """Ten styles for each image."""

    needs: ClassVar[frozenset[str]] = frozenset({"factors"})
    costly: ClassVar[bool] = True
    slow: ClassVar[bool] = True
    why: ClassVar[Mapping[str, str]] = {"prior": "no mask of an anatomy has any class but the background"}

    @torch.inference_mode()
    def observe(self, seen: ScoredSlice) -> list[tuple[str, float, float, float]]:
        found, model, rows = seen.factors, seen.model, []
        for i in sorted(seen.own):
            rng = np.random.default_rng([zlib.crc32(seen.subject.encode()), seen.position, i])
            z = torch.from_numpy(rng.standard_normal((DRAWS, found.z_mean.shape[1]))).float()
            s = torch.from_numpy(found.s[i]).expand(DRAWS, -1, -1, -1)
            images = model.decode(s, z).clamp(-1, 1)
            modality = (model.config.modalities.index(found.names[i]),)
            again = model.predict(images, modality)
            masks = masks_from(again.single[0], model.config)
            anatomies = again.s[0, :, 0]
            labels, mean = anatomies.argmax(1).numpy(), model.encode_modality(anatomies, images)[0]
            own = found.single[i]
            dice = [float(nanmean(dice_per_class(mask, own, len(model.config.classes)))) for mask in masks]
            kept = float((labels == found.s[i].argmax(0)).mean())
            rows.append((seen.subject, float(nanmean(np.array(dice))), kept, float((mean - z).abs().mean())))
        return rows

    def summarise(self, rows: list[Any], context: Context) -> dict[str, Any]:
        every = [row for of_slice in rows for row in of_slice]
        names = ("dice_kept", "channels_kept", "z_l1")
        means = {n: context.mean(f"prior.{n}", [(row[0], row[k + 1]) for row in every]) for k, n in enumerate(names)}
        return {"prior": PriorSummary(**means)}
