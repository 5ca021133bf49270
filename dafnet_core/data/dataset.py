"""Subjects as samples: slices paired across modalities, their candidates, augmentation and batches."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
import torch

from dafnet_core.data.deform import deform, field_rms, foreground, rotation, sampling, smooth_displacement
from dafnet_core.data.intensity import IntensityChange, change_intensity
from dafnet_core.data.prepare import Preparation
from dafnet_core.data.studies import StudyLike
from dafnet_core.types import Batch

SHUFFLE = 2  # positions by which shuffled pairs may differ (Sec. V-C)
PAIRINGS = ("expert", "neighbours", "shuffled", "shuffled-phases")


@dataclass(frozen=True)
class Sample:
    """One slice position of one subject in all M modalities.

    Attributes:
        images: (M, K, H, W) float32 in [-1, 1]; candidate 0 is the slice itself.
        masks: (M, H, W) uint8 labels, each in its modality's own frame.
        annotated: (M,) bool.
        subject, position: id of the subject, or of the patient that it is a case of; index of the slice in its first
            modality.
        slices: index of each modality's slice in its stack, where they come from stacks.
        displacements: (M, H, W, 2) float32 xy in pixels, of images and masks by known deformations; None without.
        regions: (M, H, W) bool, the head or body in them, where the samples were augmented by known warps.
        own: of each modality, whether this is the pair in which its slice is scored: each slice once, with its nearest
            partners; () for all.
        changed: (M, H, W) float32, candidate 0 with other intensities; None without.
    """

    images: np.ndarray
    masks: np.ndarray
    annotated: np.ndarray
    subject: str
    position: int
    displacements: np.ndarray | None = None
    regions: np.ndarray | None = None
    own: tuple[bool, ...] = ()
    changed: np.ndarray | None = None
    slices: tuple[int, ...] = ()


@dataclass(frozen=True)
class Augmentation:
    """Random augmentation of each training sample, drawn again in each epoch."""

    rotation: float = 0.0  # largest angle, degrees; one a sample
    warp: float = 0.0  # RMS of the displacement between two modalities, pixels of a 96-pixel side; one field a modality
    intensity: IntensityChange | None = None  # of every image, candidates too
    copy: IntensityChange | None = None  # of a second copy of candidate 0 (`Batch.changed`)


UNCHANGED = Augmentation()


def collate(samples: Sequence[Sample]) -> Batch:
    """Samples of one size as a Batch."""
    known: dict[str, torch.Tensor] = {}
    warps = [(s.displacements, s.regions) for s in samples if s.displacements is not None and s.regions is not None]
    if len(warps) == len(samples):
        height, width = samples[0].masks.shape[1:]
        fields = np.stack([field for field, _ in warps]) * np.array([2 / width, 2 / height], np.float32)
        regions = np.stack([region for _, region in warps])
        known = {"displacements": torch.from_numpy(fields), "regions": torch.from_numpy(regions)}
    copies = [s.changed for s in samples if s.changed is not None]
    if len(copies) == len(samples):
        known["changed"] = torch.from_numpy(np.stack(copies))
    return Batch(
        images=torch.from_numpy(np.stack([s.images for s in samples])),
        masks=torch.from_numpy(np.stack([s.masks for s in samples])).long(),
        annotated=torch.from_numpy(np.stack([s.annotated for s in samples])),
        **known,
    )


def deformed(sample: Sample, displacements: np.ndarray) -> Sample:
    """A sample with images and masks of modality i deformed by displacements[i], (M, H, W, 2) xy in pixels.

    Displacements that it knows already are those of what it showed before.
    """
    known = sample.displacements
    images = deform(torch.from_numpy(sample.images), displacements).numpy()
    masks = deform(torch.from_numpy(sample.masks)[:, None], displacements, labels=True)[:, 0].numpy()
    if known is not None:
        moved = deform(torch.from_numpy(known).movedim(-1, 1), displacements).movedim(1, -1).numpy()
        return replace(sample, images=images, masks=masks, displacements=displacements + moved)
    return replace(sample, images=images, masks=masks, displacements=displacements)


def augment(sample: Sample, augmentation: Augmentation, rng: np.random.Generator) -> Sample:
    """Rotate a sample by a random angle, warp each modality by its own random field, and change its intensities."""
    if augmentation.rotation or augmentation.warp:
        sample = _moved(sample, augmentation, rng)
    if augmentation.intensity:
        changed = [
            change_intensity(x, augmentation.intensity, rng)
            for x in sample.images.reshape(-1, *sample.images.shape[2:])
        ]
        sample = replace(sample, images=np.stack(changed).reshape(sample.images.shape))
    if augmentation.copy:
        copies = [change_intensity(x, augmentation.copy, rng) for x in sample.images[:, 0]]
        sample = replace(sample, changed=np.stack(copies))
    return sample


def _moved(sample: Sample, augmentation: Augmentation, rng: np.random.Generator) -> Sample:
    """A sample rotated and warped."""
    m, height, width = sample.masks.shape
    turn = rotation(np.deg2rad(rng.uniform(-augmentation.rotation, augmentation.rotation)), height, width)
    fields = np.repeat(turn[None], m, 0)
    if augmentation.warp:
        fields = fields + random_fields(rng, m, height, width, augmentation.warp)
    fields = fields.astype(np.float32)
    regions = region_of(sample, fields) if augmentation.warp else sample.regions
    return replace(deformed(sample, fields), regions=regions)


def region_of(registered: Sample, fields: np.ndarray) -> np.ndarray:
    """The head or body of a registered sample as each modality shows it, deformed by its field: (M, H, W) bool."""
    region = torch.from_numpy(foreground(registered.images[:, 0]).astype(np.uint8))
    return deform(region.expand(len(fields), 1, -1, -1), fields, labels=True)[:, 0].numpy() > 0


def random_fields(rng: np.random.Generator, m: int, height: int, width: int, amount: float) -> np.ndarray:
    """Independent smooth displacements of m modalities, (m, H, W, 2) xy in pixels; `amount` as in Augmentation."""
    rms = field_rms(amount, max(height, width))
    return np.stack([smooth_displacement(rng, height, width, rms) for _ in range(m)])


class PairedSlices:
    """Slices of subjects as samples, paired by their position in the patient.

    Pairs are those of `matched_slices`: every slice of every modality with its nearest ones of the others.

    Args:
        modalities, classes: names; class 0 is the background.
        preparation: how the studies' slices were made.
        studies: subjects; their arrays may be generated on first access, as those of synthetic data.
        pairing: "expert" (by position), "neighbours" (candidates are the nearest slices), "shuffled" (slices of all
            other modalities are one or two positions off, drawn in each epoch, while each slice keeps its place once;
            Sec. V-C) or "shuffled-phases" (another frame of the same slice, of modalities with several; footnote 8).
        candidates: K; with "expert" the further candidates are frames of the same slice.
        unannotated: by index of the modality, subjects whose masks of it are hidden.
        patients: the patient of a study by its name, who is the subject of its samples; by default the study itself.
            Studies of one patient come one after the other (`by_patient`).
        warp: evaluate registered data under known smooth warps of this amount (Augmentation), seeded by
            `warp_seed`; 0 for none.
        known_warps: give samples the displacements that their studies know (`Batch.displacements`).
        unknown_warps: give them none even if they were augmented by warps, since nobody knows how far their images lay
            apart before.
    """

    def __init__(
        self,
        modalities: tuple[str, ...],
        classes: tuple[str, ...],
        preparation: Preparation,
        studies: Sequence[StudyLike],
        *,
        pairing: str = "expert",
        candidates: int = 1,
        unannotated: Mapping[int, frozenset[str]] | None = None,
        patients: Mapping[str, str] | None = None,
        warp: float = 0.0,
        warp_seed: int = 0,
        known_warps: bool = False,
        unknown_warps: bool = False,
    ) -> None:
        if pairing not in PAIRINGS:
            raise ValueError(f"pairing is {pairing!r}; expected one of {', '.join(PAIRINGS)}")
        if pairing == "shuffled-phases" and not any(i.shape[0] > 1 for study in studies for i in study.images):
            raise ValueError("pairing is shuffled-phases, but no image has several frames; --phases makes them")
        self.modalities, self.classes, self.preparation, self.studies = modalities, classes, preparation, studies
        self.pairing, self.candidates, self.unannotated = pairing, candidates, unannotated or {}
        self.warp, self.warp_seed, self.patients = warp, warp_seed, patients or {}
        self.known_warps, self.unknown_warps = known_warps, unknown_warps
        self._index = [
            (number, pair, own)
            for number, study in enumerate(studies)
            for pair, own in matched_slices(study.positions).items()
            for own in (_owners(own) if pairing == "shuffled" else [own])
        ]

    def __len__(self) -> int:
        return len(self._index)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Names of all studies, in order."""
        return tuple(study.name for study in self.studies)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed about the studies, each note once with the number of studies and an example."""
        named: dict[str, list[str]] = {}
        for study in self.studies:
            for note in study.notes:
                named.setdefault(note, []).append(study.name)
        return tuple(
            f"{len(names)} of {len(self.studies)} subjects ({names[0]} ...): {n}" for n, names in named.items()
        )

    def __getitem__(self, index: int) -> Sample:
        sample = self.sample(index, np.random.default_rng([0, index]))
        return deformed(sample, self._fields(index)) if self.warp else sample

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        """One sample; `rng` draws the shifts of shuffled pairs."""
        number, slices, own = self._index[index]
        study = self.studies[number]
        images, masks, annotated = [], [], []
        for i, at in enumerate(slices):
            frames, depth = study.images[i].shape[:2]
            if self.pairing == "shuffled" and not own[i]:
                at = _shifted(at, depth, rng)
            phase = int(rng.integers(1, frames)) if self.pairing == "shuffled-phases" and frames > 1 else 0
            chosen = [(phase, at)] * self.candidates if phase else self._candidates(frames, depth, at)
            images.append(np.stack([study.images[i][frame, position] for frame, position in chosen]))
            labels = self._labels(study, i, at, phase)
            # hidden masks are replaced by background, so that nothing can use them
            masks.append(np.zeros(images[-1].shape[1:], np.uint8) if labels is None else labels)
            annotated.append(labels is not None)
        return Sample(
            np.stack(images).astype(np.float32, copy=False),
            np.stack(masks),
            np.array(annotated),
            self.patients.get(study.name, study.name),
            slices[0],
            own=own,
            slices=slices,
            **self._known_warps(study, slices[0]),
        )

    def slices_of(self, modality: int, *, annotated: bool) -> list[int]:
        """Samples of each slice of a modality once; with `annotated`, those with a mask of it that is not hidden."""
        hidden = self.unannotated.get(modality, ())
        has_mask = [s.masks[modality] is not None and s.name not in hidden for s in self.studies]
        return [
            index
            for index, (number, _, own) in enumerate(self._index)
            if own[modality] and (has_mask[number] or not annotated)
        ]

    def _known_warps(self, study: StudyLike, position: int) -> dict[str, np.ndarray]:
        fields = study.displacements(position) if self.known_warps else None
        return {} if fields is None else {"displacements": fields, "regions": np.ones(fields.shape[:3], bool)}

    def _labels(self, study: StudyLike, i: int, at: int, phase: int) -> np.ndarray | None:
        """The mask (H, W) of a slice of modality i, None where it is hidden or not known."""
        if study.name in self.unannotated.get(i, ()):
            return None
        if phase:
            frames = study.frame_masks[i] if study.frame_masks else None
            return None if frames is None else frames[phase, at]
        stack = study.masks[i]
        return None if stack is None else stack[at]

    def _candidates(self, frames: int, slices: int, at: int) -> list[tuple[int, int]]:
        """(frame, slice) of K candidates, nearest first; the last is repeated where there are fewer."""
        if self.pairing == "expert":
            order = sorted(range(frames), key=lambda f: min(f, frames - f))
            nearest = [(f, at) for f in order]
        else:
            nearest = [(0, j) for j in sorted(range(slices), key=lambda j: abs(j - at))]
        nearest = nearest[: self.candidates]
        return nearest + [nearest[-1]] * (self.candidates - len(nearest))

    def _fields(self, index: int) -> np.ndarray:
        size = self.preparation.height, self.preparation.width
        number, slices, _ = self._index[index]
        # seeded by name and position, so that a slice's warp does not depend on the other subjects evaluated
        name = zlib.crc32(self.studies[number].name.encode())
        rng = np.random.default_rng([self.warp_seed, name, slices[0]])
        return random_fields(rng, len(self.modalities), *size, self.warp)

    def truth(self, index: int) -> tuple[dict[tuple[int, int], np.ndarray], dict[int, np.ndarray]]:
        """The known misregistration of a sample whose slices pair by position: ({}, {}) where it is unknown.

        Returns:
            For each ordered pair (fixed, moving) the sampling position (H, W, 2) xy in pixels of the moving
            image; for each modality the region (H, W) bool over which errors are computed: with `warp` the head or body
            of registered data, else what `Study.truth` gives, but for modalities whose masks are hidden.
        """
        if self.warp:
            fields = self._fields(index)
            regions = region_of(self.sample(index, np.random.default_rng(0)), fields)
            pairs = permutations(range(len(self.modalities)), 2)
            return {(i, j): sampling(fields[i], fields[j]) for i, j in pairs}, dict(enumerate(regions))
        if self.pairing.startswith("shuffled"):
            return {}, {}
        number, slices, _ = self._index[index]
        study = self.studies[number]
        where, organs = study.truth(slices[0])  # organs are regions: those of hidden masks stay hidden
        return where, {i: r for i, r in organs.items() if study.name not in self.unannotated.get(i, ())}

    def tissues(self, index: int) -> dict[int, np.ndarray]:
        """True tissues (H, W) of a sample by modality, each in its own frame; {} where they are not known."""
        if self.pairing.startswith("shuffled"):
            return {}
        number, slices, _ = self._index[index]
        return self.studies[number].tissues(slices[0])

    def spacing(self, index: int) -> dict[int, tuple[float, float]]:
        """mm between rows and between columns of a sample's grid, of the modalities for which they are known."""
        known = enumerate(self.studies[self._index[index][0]].spacing)
        return {i: (mm[0], mm[1]) for i, mm in known if mm is not None}

    def ground_truth(self, index: int) -> dict[str, bool | float]:
        """Ground truth factors of a sample by name, as `Study.ground_truth` gives them; {} where nothing is known."""
        number, slices, _ = self._index[index]
        return self.studies[number].ground_truth(slices[0])

    def batch_at(
        self,
        step: int,
        batch_size: int,
        seed: int,
        *,
        augmentation: Augmentation = UNCHANGED,
        shard: tuple[int, int] = (0, 1),
    ) -> Batch:
        """The batch of a training step: shuffled in each epoch, a deterministic function of its arguments.

        Args:
            augmentation: applied to every sample.
            shard: (r, n): samples r, r + n, ... of the batch only, for process r of n.
        """
        epoch, chosen = self.epoch_of(step, batch_size), self._order(step, batch_size, seed)
        samples = []
        for n in range(shard[0], batch_size, shard[1]):
            rng = np.random.default_rng([seed, epoch, int(chosen[n])])
            sample = self.sample(int(chosen[n]), rng)
            sample = augment(sample, augmentation, rng) if augmentation != UNCHANGED else sample
            samples.append(replace(sample, displacements=None) if self.unknown_warps else sample)
        return collate(samples)

    def epoch_of(self, step: int, batch_size: int) -> int:
        """The epoch, from 0, that a training step belongs to."""
        return step // max(len(self) // batch_size, 1)

    def _order(self, step: int, batch_size: int, seed: int) -> np.ndarray:
        at = step % max(len(self) // batch_size, 1)
        order = np.random.default_rng([seed, self.epoch_of(step, batch_size)]).permutation(len(self))
        return np.resize(order[at * batch_size : (at + 1) * batch_size], batch_size)


def _owners(own: tuple[bool, ...]) -> list[tuple[bool, ...]]:
    """One entry for each modality whose own slice a pair has, so that each of them keeps its place once."""
    return [tuple(i == n for i in range(len(own))) for n, mine in enumerate(own) if mine]


def _shifted(at: int, slices: int, rng: np.random.Generator) -> int:
    """A slice one or two positions off, drawn among those that there are; the slice itself where it is alone."""
    others = [k for k in range(max(0, at - SHUFFLE), min(slices, at + SHUFFLE + 1)) if k != at]
    return others[int(rng.integers(len(others)))] if others else at


def by_patient(studies: Sequence[StudyLike], patients: Mapping[str, str]) -> list[StudyLike]:
    """Studies with those of one patient one after the other, patients in the order in which they first came."""
    groups: dict[str, list[StudyLike]] = {}
    for study in studies:
        groups.setdefault(patients.get(study.name, study.name), []).append(study)
    return [study for group in groups.values() for study in group]


def matched_slices(positions: Sequence[np.ndarray]) -> dict[tuple[int, ...], tuple[bool, ...]]:
    """Slices of M modalities at the same position.

    Every slice of every modality is paired with the nearest slice of each other one; farther than half a slice distance
    outside of another modality's stack it has no partner and is left out.

    Args:
        positions: of the slices of each modality, (slices,) in one unit.

    Returns:
        Pairs in order: the index of a slice of each modality; and for each whether it was that modality's own slice
        which was paired, which is so exactly once for each slice.

    >>> matched_slices([np.array([0.0, 10]), np.array([0.0, 4, 8])])
    {(0, 0): (True, True), (0, 1): (False, True), (1, 2): (True, True)}
    """
    reach = [0.5 * np.abs(np.diff(p)).max() if len(p) > 1 else np.inf for p in positions]
    owners: dict[tuple[int, ...], set[int]] = {}
    for own, places in enumerate(positions):
        for index, place in enumerate(places):
            nearest = [int(np.abs(p - place).argmin()) for p in positions]
            nearest[own] = index
            if all(abs(p[n] - place) <= r + 1e-6 for p, n, r in zip(positions, nearest, reach, strict=True)):
                owners.setdefault(tuple(nearest), set()).add(own)
    return {pair: tuple(i in owners[pair] for i in range(len(positions))) for pair in sorted(owners)}
