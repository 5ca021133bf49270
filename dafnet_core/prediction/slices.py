"""Predict every slice of a subject, each once with its nearest partners of the other modalities.

Results stay on the model's grid here; `volumes` brings them onto the grids of the files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from dafnet_core.data.dataset import PairedSlices, matched_slices
from dafnet_core.data.prepare import Preparation
from dafnet_core.data.studies import Stack, Study, join
from dafnet_core.methods.base import Estimate, Method, SliceInput

WHAT = {  # what can be asked for, and what it is
    "masks": "class of each voxel, from own, deformed and fused anatomies",
    "probabilities": "probability of each class",
    "anatomy": "anatomy channels, own and fused",
    "warps": "displacement fields between modalities, for ITK",
    "reconstructions": "images decoded from own and crosswise anatomies",
    "factors": "mean and variance of z of each slice, a table",
}
MAIN = "mask"  # name of the layer with the method's last kind of masks


@dataclass(frozen=True, eq=False)
class Layer:
    """One result of one modality, on the model's grid.

    Attributes:
        about: a sentence.
        planes: by slice of the prepared stack, (H, W), or (n, H, W) with n components.
        fill: of each component outside of the grid, and in slices that have no such result.
        labels: whether values are classes or channels, which are not interpolated.
        unit: whole numbers count these; None for values as they are.
    """

    about: str
    planes: dict[int, np.ndarray] = field(default_factory=dict)
    fill: tuple[float, ...] = (0,)
    labels: bool = False
    unit: float | None = None


@dataclass(frozen=True, eq=False)
class PredictedSubject:
    """Results of a method on one subject, on the model's grid. Modalities are indices in the method's modalities.

    Attributes:
        name: of the subject.
        method: that predicted it.
        stacks: the subject, by modality.
        heights: whether positions of the slices are mm in the patient.
        positions: of each modality's slices, (slices,), as in `Study`.
        layers: by modality and name.
        warps: of ordered pairs (fixed, moving), by slice of the fixed stack: the slice of the moving one, and where in
            it each pixel of the grid is sampled, (H, W, 2) float32 xy in pixels of the grid.
        factors: by modality and slice, mean and variance of q(z | x, s), (n_z,) each.
        partners: by modality and slice, the modalities that it was predicted with.
    """

    name: str
    method: Method
    stacks: Mapping[int, Stack]
    heights: bool
    positions: dict[int, np.ndarray]
    layers: dict[int, dict[str, Layer]] = field(default_factory=dict)
    warps: dict[tuple[int, int], dict[int, tuple[int, np.ndarray]]] = field(default_factory=dict)
    factors: dict[int, dict[int, tuple[np.ndarray, np.ndarray]]] = field(default_factory=dict)
    partners: dict[int, dict[int, tuple[int, ...]]] = field(default_factory=dict)

    def alone(self, modality: int) -> list[int]:
        """Slices of a modality that were predicted without any other modality."""
        return sorted(k for k, partners in self.partners[modality].items() if not partners)


@dataclass(frozen=True)
class _Pair:
    """Slices that are predicted together.

    Attributes:
        members: the modalities, as positions in the subject's stacks.
        index: of the pair among all of these modalities.
        slices: of each member.
        own: of each member, whether this pair gives the result of its slice.
    """

    members: tuple[int, ...]
    index: int
    slices: tuple[int, ...]
    own: tuple[bool, ...]


def slice_pairs(positions: Sequence[np.ndarray]) -> list[_Pair]:
    """Pairs that give a result for each slice of each modality exactly once, with as many partners as it has.

    Args:
        positions: of the slices of each modality, (slices,) in one unit.

    >>> [(p.members, p.slices, p.own) for p in slice_pairs([np.array([0.0, 10]), np.array([4.0, 40])])]
    [((0, 1), (0, 0), (True, True)), ((0, 1), (1, 0), (True, False)), ((1,), (1,), (True,))]
    """
    todo = {(m, k) for m, places in enumerate(positions) for k in range(len(places))}
    pairs = []
    for size in range(len(positions), 0, -1):
        for members in combinations(range(len(positions)), size):
            for index, (slices, owned) in enumerate(matched_slices([positions[m] for m in members]).items()):
                at = list(zip(members, slices, strict=True))
                own = tuple(o and place in todo for o, place in zip(owned, at, strict=True))
                if any(own):
                    pairs.append(_Pair(members, index, slices, own))
                    todo -= {place for place, o in zip(at, own, strict=True) if o}
    return pairs


def predict_subject(
    method: Method,
    name: str,
    stacks: Mapping[int, Stack],
    preparation: Preparation,
    *,
    what: Sequence[str] = tuple(WHAT),
    pairing: str = "expert",
    candidates: int = 1,
    progress: Callable[[float], None] = lambda share: None,
) -> PredictedSubject:
    """Predict every slice of a subject (Sec. III-B, III-F); of several volumes the first.

    A slice is paired with the nearest one of each other modality that has one within half a slice distance; without any
    it is predicted alone, and its fused anatomy is then its own.

    Args:
        method: whose networks are in eval mode; one that needs no source masks.
        stacks: by index in the method's modalities, prepared in one frame.
        preparation: theirs.
        what: results that are kept, of WHAT; those that the method lacks are left out.
        pairing, candidates: of `PairedSlices`, as in training.
        progress: called with the share that is done, in [0, 1]; exceptions that it raises propagate, to cancel.

    Raises:
        ValueError: a method that cannot predict images alone, or an unknown part of `what`.
    """
    if method.needs_source_masks:
        raise ValueError(f"{method.title} needs masks of another modality; give a checkpoint")
    if unknown := sorted(set(what) - set(WHAT)):
        raise ValueError(f"{unknown[0]!r} cannot be predicted; choose from {', '.join(WHAT)}")
    modalities = sorted(stacks)
    study = join(name, [stacks[m] for m in modalities])
    heights = all(stack.heights is not None for stack in stacks.values())
    found = PredictedSubject(name, method, stacks, heights, dict(zip(modalities, study.positions, strict=True)))
    pairs = slice_pairs(study.positions)
    pairing = "expert" if pairing.startswith("shuffled") else pairing
    parts = {p.members: _part(study, p.members, preparation, pairing, candidates) for p in pairs}
    for n, pair in enumerate(pairs):
        progress(n / len(pairs))
        images = parts[pair.members][pair.index].images
        members = tuple(modalities[m] for m in pair.members)
        _keep(found, method.predict(SliceInput(images, members)), members, pair, frozenset(what))
    progress(1.0)
    return found


def _part(
    study: Study, members: tuple[int, ...], preparation: Preparation, pairing: str, candidates: int
) -> PairedSlices:
    """Samples of some of a subject's modalities, as they were in training."""
    images = tuple(study.images[m] for m in members)
    positions = tuple(study.positions[m] for m in members)
    part = Study(study.name, images, (None,) * len(members), positions)
    return PairedSlices((), (), preparation, [part], pairing=pairing, candidates=candidates)


def _keep(
    found: PredictedSubject, estimate: Estimate, members: tuple[int, ...], pair: _Pair, what: frozenset[str]
) -> None:
    """Keep those results of a pair that are its slices' own."""
    for at, (m, k) in enumerate(zip(members, pair.slices, strict=True)):
        if not pair.own[at]:
            continue
        found.partners.setdefault(m, {})[k] = tuple(other for other in members if other != m)
        layers = found.layers.setdefault(m, {})
        for name, part, layer, plane in _results(found.method, estimate, members, at):
            if part in what:
                layers.setdefault(name, layer).planes[k] = plane
        if "warps" in what:
            for (fixed, moving), positions in estimate.positions.items():
                if fixed == at:
                    warp = found.warps.setdefault((m, members[moving]), {})
                    warp[k] = pair.slices[moving], positions.astype(np.float32)
        if "factors" in what and estimate.factors is not None:
            z = estimate.factors
            found.factors.setdefault(m, {})[k] = z.z_mean[at], np.square(z.z_std[at])


def _results(
    method: Method, estimate: Estimate, members: tuple[int, ...], at: int
) -> Iterator[tuple[str, str, Layer, np.ndarray]]:
    """Results of the modality `members[at]`: name, part of WHAT, an empty layer, and the plane that goes into it."""

    def source(moving: int | None) -> tuple[str, str]:
        other = None if moving is None else method.modalities[members[moving]]
        return (f"_from_{other}", f", of {other}") if other else ("", "")

    masks = [mask for mask in estimate.masks if mask.fixed == at]
    for mask in masks:
        suffix, origin = source(mask.moving)
        main = mask.kind == method.kinds[-1] and mask.moving is None
        about = f"mask ({mask.kind}{origin}): class numbers, uint8; 0 outside of the model's grid"
        yield MAIN if main else f"mask_{mask.kind}{suffix}", "masks", Layer(about, labels=True), mask.labels
    if estimate.probabilities is not None and masks:
        about = (
            f"probabilities of the classes behind `{MAIN}`, before small pieces are dropped, along the fourth axis; "
            "outside of the grid background 1"
        )
        empty = Layer(about, fill=(1.0, *[0.0] * (len(method.classes) - 1)))
        yield "probabilities", "probabilities", empty, estimate.probabilities[at]
    if (factors := estimate.factors) is not None:
        channels = factors.s.shape[1]
        about = f"own anatomy: number of the channel from 1 to {channels}, uint8; 0 outside of the model's grid"
        yield "anatomy", "anatomy", Layer(about, labels=True), factors.s[at].argmax(0).astype(np.uint8) + 1
    if factors is not None and factors.aligned:
        about = "fused anatomy: its channels along the fourth axis, from 0 to 1 in steps of 1/255 (by scl_slope)"
        empty = Layer(about, unit=1 / 255, fill=(0,) * factors.s.shape[1])
        yield "anatomy_fused", "anatomy", empty, np.rint(255 * factors.fused[at]).astype(np.uint8)
    for image in estimate.images:
        if image.fixed == at:
            suffix, origin = source(image.moving)
            about = f"reconstruction ({image.kind}{origin}) in [-1, 1], float32; -1 outside of the model's grid"
            yield f"reconstruction_{image.kind}{suffix}", "reconstructions", Layer(about, fill=(-1,)), image.pixels
