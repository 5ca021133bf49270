"""Interfaces of methods and of trainable methods (Sec. V: DAFNet and the methods compared with it).

A method takes one slice in n modalities and predicts masks; it may also predict images, warps and factors. Measures and
pages that need a missing part are skipped, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from torch import Tensor, nn

from dafnet_core.config import ModelConfig
from dafnet_core.data.pools import Pools
from dafnet_core.losses.weights import LossWeights
from dafnet_core.methods.decomposition import Decomposition
from dafnet_core.types import Alignment, Batch, Noise, Prediction, Reconstruction


@dataclass(frozen=True, eq=False)
class SliceInput:
    """Input of a method: one slice.

    Attributes:
        images: (n, K, H, W) float32 in [-1, 1]; candidate 0 is the slice itself (Sec. III-F).
        modalities: index in the method's modalities of each of the n.
        source_masks: labels (H, W) of source modalities by their position among the n, each in its own frame. Never
            that of a modality whose mask is to be predicted.
    """

    images: np.ndarray
    modalities: tuple[int, ...]
    source_masks: Mapping[int, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class PredictedMask:
    """A mask of modality `fixed`, (H, W) uint8 labels in its frame.

    Attributes:
        kind: how it was made, such as "single", "deformed", "fused" or "copy".
        fixed, moving: positions among the n modalities; `moving` is the one that it was brought from, or None.
    """

    kind: str
    fixed: int
    moving: int | None
    labels: np.ndarray

    def __iter__(self) -> Iterator[Any]:
        return iter((self.kind, self.fixed, self.moving, self.labels))


@dataclass(frozen=True, eq=False)
class PredictedImage:
    """A synthetic image of modality `fixed`, (H, W) in [-1, 1]; fields as in PredictedMask, kinds own and cross."""

    kind: str
    fixed: int
    moving: int | None
    pixels: np.ndarray

    def __iter__(self) -> Iterator[Any]:
        return iter((self.kind, self.fixed, self.moving, self.pixels))


@dataclass(frozen=True, eq=False)
class Estimate:
    """A method's estimate of one slice.

    Attributes:
        masks: of any kinds.
        images: of any kinds; () for none.
        positions: of ordered pairs (fixed, moving), (H, W, 2) xy in pixels: where in the moving image each pixel of
            the fixed one is sampled; {} for none.
        factors: anatomy and modality factors, and results derived from them; None for methods without factors.
        probabilities: (n, L, H, W) float32 of the classes, which sum to 1, behind the masks of the last kind; those of
            images without a mask mean nothing; None for methods without any.
        content: (n, C, h, w) float32 continuous content codes, for methods that have them in place of channels.
        style: (n, n_z) float32 style codes, for methods that have them in place of a modality factor.
    """

    masks: tuple[PredictedMask, ...]
    images: tuple[PredictedImage, ...] = ()
    positions: Mapping[tuple[int, int], np.ndarray] = field(default_factory=dict)
    factors: Decomposition | None = None
    probabilities: np.ndarray | None = None
    content: np.ndarray | None = None
    style: np.ndarray | None = None


@runtime_checkable
class Method(Protocol):
    """A way to predict masks.

    Attributes:
        name: on the command line and in checkpoints.
        title: readable name.
        kinds: of masks that it predicts, in the order of tables.
        needs_source_masks: whether it predicts from another modality's true mask (copy, registration).
        modalities, classes: of its predictions; class 0 is the background.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]]
    needs_source_masks: ClassVar[bool]

    @property
    def modalities(self) -> tuple[str, ...]: ...
    @property
    def classes(self) -> tuple[str, ...]: ...

    def predict(self, given: SliceInput) -> Estimate:
        """Masks, and what else it has, of one slice; raises ValueError where the input does not fit."""
        ...


class FactorModel(Protocol):
    """Networks with an anatomy factor s and a modality factor z: what the analyses of factors need (Sec. III).

    Shapes: see `networks/dafnet.py`.

    Attributes:
        aligns: whether it deforms one modality's anatomy onto another's; without, `align` is the identity, and
            masks and images of deformed anatomies are not part of an estimate.
    """

    config: ModelConfig
    aligns: bool
    decoder: Any  # with condition(s) and render(conditioning, z)

    def channel_logits(self, images: Tensor, modalities: Any = None) -> Tensor:
        """Logits (n, B, C, H, W) of the channels of images (B, n, H, W); the largest one's channel is 1 in s."""
        ...

    def encode_modality(self, s: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z | x, s), (B, n_z) each, from s (B, C, H, W) and images (B, 1, H, W)."""
        ...

    def segment(self, s: Tensor) -> Tensor:
        """Class logits (B, L, H, W) of anatomies (B, C, H, W)."""
        ...

    def decode(self, s: Tensor, z: Tensor) -> Tensor:
        """Images (B, 1, H, W) in [-1, 1] from anatomies (B, C, H, W) and z (B, n_z)."""
        ...

    def predict(self, images: Tensor, modalities: Any = None, *, precision: str = "auto") -> Prediction:
        """Anatomies, alignments and masks of images (B, n, H, W) or (B, n, K, H, W) in [-1, 1]."""
        ...

    def reconstruct(self, prediction: Prediction, images: Tensor) -> Reconstruction:
        """Modality factors and decoded images of a prediction and its images."""
        ...

    def align(self, moving: Tensor, fixed: Tensor) -> Alignment:
        """Deform the anatomy `moving` into the frame of `fixed`, both (B, C, H, W)."""
        ...

    def pairing(self, fixed: Tensor, deformed: Tensor) -> Tensor:
        """Weights (B, K) of deformed candidates (B, K, C, H, W) of a fixed anatomy (B, C, H, W)."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """Weights of the networks."""
        ...


@runtime_checkable
class FactorMethod(Method, Protocol):
    """A method whose networks have factors: one that gives `Estimate.factors`."""

    @property
    def networks(self) -> FactorModel:
        """The networks with factors."""
        ...


class Trainable(Method, Protocol):
    """A trainable method: the interface for training, averaging, resuming, checkpoints and cards.

    Attributes:
        config: determines the shapes of the networks.
        networks: what a checkpoint holds and what is averaged; its keys name the weights in the file.
        discriminators: what only training needs; None at inference and for methods without adversarial terms.
        own_options: options of training, as the command line names them, that mean something for this method and not
            for all; another method's are refused.
        presets: options that the method sets on top of every recipe, such as the loss weights of its own paper.
    """

    networks: nn.Module
    discriminators: nn.Module | None
    own_options: ClassVar[frozenset[str]]
    presets: ClassVar[dict[str, Any]]

    @property
    def config(self) -> ModelConfig:
        """Configuration of the networks."""
        ...

    @property
    def pools(self) -> Pools | None:
        """The single images that it learns from; None: from pairs."""
        ...

    @property
    def description(self) -> str:
        """What it is, for cards, such as "DAFNet with a FiLM decoder"."""
        ...

    def facts(self) -> dict[str, str]:
        """What a card tells of the networks, by title."""
        ...

    @classmethod
    def configure(cls, size: str, modalities: tuple[str, ...], classes: tuple[str, ...], **choices: Any) -> ModelConfig:
        """The configuration of "compact" or "published" networks, with the command line's choices."""
        ...

    @classmethod
    def networks_of(cls, config: ModelConfig) -> nn.Module:
        """New networks with random weights."""
        ...

    @classmethod
    def of(cls, networks: nn.Module) -> Self:
        """The method with given networks, for inference."""
        ...

    @classmethod
    def for_training(cls, config: ModelConfig) -> Self:
        """The method with new networks and discriminators."""
        ...

    def noise(
        self, streams: Sequence[np.random.Generator], size: tuple[int, int], weights: LossWeights, share: float
    ) -> Noise:
        """The randomness of a step.

        Args:
            streams: B random streams, one a sample, so that it does not depend on how a batch is shared.
            size: (H, W) of the images.
            weights: final loss weights, which determine the noise needed.
            share: of the batch that costly terms are computed on.
        """
        ...

    def terms(
        self, networks: nn.Module, batch: Batch, noise: Noise, weights: LossWeights
    ) -> tuple[dict[str, Tensor], Any]:
        """Named loss terms, unweighted, and the networks' outputs.

        Args:
            networks: these, perhaps compiled or wrapped.
        """
        ...

    def discriminator_terms(self, made: Any, batch: Batch, weights: LossWeights) -> dict[str, Tensor]:
        """Named losses of the discriminators on what the networks made; {} without discriminators."""
        ...

    def monitored(self, made: Any) -> dict[str, Tensor]:
        """Further scalars for the log."""
        ...

    def visit(self, batch: Batch) -> None:
        """A training forward without losses, from which batch normalisation takes its statistics."""
        ...


def predict_all(method: Method, given: SliceInput) -> Estimate:
    """Predict a slice with every modality as a target.

    Args:
        given: `source_masks` may hold masks of all modalities: a method that needs them predicts one target at a
            time, without the target's own mask.
    """
    if not method.needs_source_masks:
        return method.predict(SliceInput(given.images, given.modalities))
    masks: list[PredictedMask] = []
    positions: dict[tuple[int, int], np.ndarray] = {}
    for target in range(len(given.modalities)):
        sources = {i: mask for i, mask in given.source_masks.items() if i != target}
        estimate = method.predict(SliceInput(given.images, given.modalities, sources))
        masks += [mask for mask in estimate.masks if mask.fixed == target]
        positions |= {pair: where for pair, where in estimate.positions.items() if pair[0] == target}
    return Estimate(tuple(masks), positions=positions)
