"""U-Net on annotated images of one modality, or of all, also with other intensities (Sec. IV-C)."""

from __future__ import annotations

from typing import Any, ClassVar

from dafnet_core.config import ModelConfig
from dafnet_core.data.pools import Pools
from dafnet_core.methods.segmenter import Segmenter
from dafnet_core.networks.unet import UNet


class UNetMulti(Segmenter):
    """One U-Net for all modalities, from all annotated images mixed."""

    name: ClassVar[str] = "unet-multi"
    title: ClassVar[str] = "UNet-multi"

    @classmethod
    def configure(cls, size: str, modalities: tuple[str, ...], classes: tuple[str, ...], **choices: Any) -> ModelConfig:
        """Sizes "compact" or "published", those of DAFNet's anatomy encoder."""
        make = ModelConfig.compact if size == "compact" else ModelConfig.published
        return make(modalities, classes)

    @classmethod
    def networks_of(cls, config: ModelConfig) -> UNet:
        return UNet(config)

    @property
    def description(self) -> str:
        return "U-Net of all modalities"

    @property
    def pools(self) -> Pools:
        return Pools((tuple(range(len(self.modalities))),))


class UNetAugmented(UNetMulti):
    """The same, with every training image changed by a random convolution network (GIN, Ouyang et al. 2022).

    Not in the paper: a strong baseline of today for modalities without annotations.
    """

    name: ClassVar[str] = "unet-augmented"
    title: ClassVar[str] = "UNet-augmented"
    presets: ClassVar[dict[str, Any]] = {"intensity": "convolutions"}

    @property
    def description(self) -> str:
        return f"{super().description} with random intensities"


class UNetSingle(UNetMulti):
    """A U-Net for the target modality alone, which predicts no masks of others."""

    name: ClassVar[str] = "unet-single"
    title: ClassVar[str] = "UNet-single"

    @classmethod
    def configure(
        cls, size: str, modalities: tuple[str, ...], classes: tuple[str, ...], *, target: str = "", **choices: Any
    ) -> ModelConfig:
        """Sizes as those of `UNetMulti`; the target is the last modality by default."""
        make = ModelConfig.compact if size == "compact" else ModelConfig.published
        return make(modalities, classes, target=target or modalities[-1])

    @property
    def description(self) -> str:
        return f"U-Net of {self.config.target} alone"

    @property
    def pools(self) -> Pools:
        return Pools(((self.modalities.index(self.config.target),),))
