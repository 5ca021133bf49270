"""DualStream: a stream for each modality, which share the deepest scale (Valindria et al. 2018, v4; Sec. IV-C)."""

from __future__ import annotations

from typing import Any, ClassVar

from dafnet_core.config import ModelConfig
from dafnet_core.data.pools import Pools
from dafnet_core.methods.segmenter import Segmenter
from dafnet_core.networks.dual_stream import DualStream


class DualStreamMethod(Segmenter):
    """Each modality's annotated images train its own stream.

    A stream whose modality has no annotated image learns from those of the others.
    """

    name: ClassVar[str] = "dual-stream"
    title: ClassVar[str] = "DualStream"

    @classmethod
    def configure(cls, size: str, modalities: tuple[str, ...], classes: tuple[str, ...], **choices: Any) -> ModelConfig:
        """Published: 16, 64, 128, 256 and 512 channels; compact: half of them, and instance norm."""
        if size == "compact":
            return ModelConfig.compact(modalities, classes, width=32, depth=3)
        return ModelConfig.published(modalities, classes, depth=3)

    @classmethod
    def networks_of(cls, config: ModelConfig) -> DualStream:
        return DualStream(config)

    @property
    def pools(self) -> Pools:
        return Pools(tuple((m,) for m in range(len(self.modalities))))
