"""Cached results of a checkpoint and a subject, one function per result.

Results are shared between sessions as read-only; those of uploads are kept in the memory of one session, freed with it
(`session_lifetime.py`), and never written or logged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import streamlit as st

from dafnet_core.analysis.candidates import Weighed, weigh
from dafnet_core.analysis.decompose import channel_classes
from dafnet_core.analysis.directions import Direction, modality_directions, principal_directions
from dafnet_core.analysis.editing import Realigned, realign
from dafnet_core.analysis.halftone import Halftone, halftone
from dafnet_core.analysis.lost import Lost
from dafnet_core.analysis.misregistration import Misregistered, Range, misregister, misregistration_range
from dafnet_core.analysis.quiz import Question, ask
from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.geometry import nearest_offsets
from dafnet_core.methods.base import Estimate, FactorModel, SliceInput
from dafnet_core.methods.decomposition import Decomposition, decompose
from dafnet_core.metrics.dependence import Dependence, anatomy_distances, dependence, euclidean_distances
from dafnet_explorer import data_sets, state, subjects
from dafnet_explorer.caches import cached
from dafnet_explorer.catalogue import counterpart
from dafnet_explorer.figures.errors import own_loss, swap_loss
from dafnet_explorer.figures.pixels import channel_colours
from dafnet_explorer.subjects import Subject


@cached(40)
def _sample(digest: str, _checkpoint: Checkpoint, number: int, position: int, variant: str) -> Subject:
    return subjects.sample(_checkpoint, number, position, variant)


def sample(checkpoint: Checkpoint, number: int, position: int, variant: str) -> Subject:
    """Cached `subjects.sample`."""
    return _sample(checkpoint.digest, checkpoint, number, position, variant)


@cached(24, "Decomposing the images")
def _decomposition(digest: str, images: str, _checkpoint: Checkpoint, _subject: Subject) -> Decomposition:
    return decompose(_checkpoint.model, _subject.images, _subject.modalities)


def decomposition_of(checkpoint: Checkpoint, subject: Subject) -> Decomposition:
    """A checkpoint's decomposition of a subject."""
    return _decomposition(checkpoint.digest, subject.digest, checkpoint, subject)


@cached(16, "Predicting masks")
def _estimate(digest: str, images: str, _checkpoint: Checkpoint, _subject: Subject) -> Estimate:
    return _checkpoint.method.predict(SliceInput(_subject.images[:, None], _subject.modalities))


def estimate_of(checkpoint: Checkpoint, subject: Subject) -> Estimate:
    """The estimate of a checkpoint's method, with or without factors."""
    return _estimate(checkpoint.digest, subject.digest, checkpoint, subject)


Losses = tuple[list[Lost], list[tuple[np.ndarray, Lost] | None]]  # of each image, and of each pair


@cached(16)
def _losses(digest: str, images: str, _decomposition: Decomposition, _subject: Subject) -> Losses:
    clean = _subject.without_noise() if _subject.without_noise else None
    own = [own_loss(_decomposition, _subject, i, clean) for i in range(len(_subject.images))]
    return own, [swap_loss(_decomposition, _subject, pair, clean) for pair in range(len(_decomposition.pairs))]


def losses_of(checkpoint: Checkpoint, subject: Subject) -> list[Lost]:
    """What the reconstruction of each image of a subject loses."""
    return _losses(checkpoint.digest, subject.digest, decomposition_of(checkpoint, subject), subject)[0]


def swap_losses_of(checkpoint: Checkpoint, subject: Subject) -> list[tuple[np.ndarray, Lost] | None]:
    """`swap_loss` of each pair of a subject's images."""
    return _losses(checkpoint.digest, subject.digest, decomposition_of(checkpoint, subject), subject)[1]


@cached(16)
def _halftone(
    digest: str, images: str, modality: int, _model: FactorModel, _decomposition: Decomposition, _tissues: np.ndarray
) -> Halftone:
    return halftone(_model, _decomposition, modality, _tissues)


def halftone_of(checkpoint: Checkpoint, subject: Subject, i: int) -> Halftone:
    """Image i of a subject decoded after pixels of its anatomy are shuffled within its true tissues, or flipped."""
    decomposition = decomposition_of(checkpoint, subject)
    return _halftone(checkpoint.digest, subject.digest, i, checkpoint.model, decomposition, subject.tissues[i])


def colours_of(checkpoint: Checkpoint, subject: Subject) -> tuple[str, ...]:
    """A colour for each channel of a checkpoint, by the channels' classes in a subject."""
    kinds = channel_classes(decomposition_of(checkpoint, subject), len(checkpoint.config.classes))
    return channel_colours(kinds, checkpoint.colours)


def counterpart_colours(checkpoint: Checkpoint, subject: Subject) -> tuple[str, ...]:
    """A colour for each channel of the counterpart, by the channels' classes in a subject."""
    return colours_of(counterpart(checkpoint), subject)


@cached(40, "Making a question")
def _question(
    digest: str,
    images: str,
    other: str | None,
    seed: int,
    n: int,
    _model: FactorModel,
    _decomposition: Decomposition,
    _other: tuple[FactorModel, Decomposition] | None,
) -> Question:
    return ask(_model, _decomposition, seed, n, _other)


def question(checkpoint: Checkpoint, subject: Subject, seed: int, n: int) -> Question:
    """Question n (from 0) of a seed on a subject, with the other decoder if available.

    Raises:
        ValueError: no change of any factor is visible in the subject's images.
    """
    other = counterpart(checkpoint)
    other_factors = (other.model, decomposition_of(other, subject)) if other else None
    return _question(
        checkpoint.digest,
        subject.digest,
        other and other.digest,
        seed,
        n,
        checkpoint.model,
        decomposition_of(checkpoint, subject),
        other_factors,
    )


def _samples(checkpoint: Checkpoint, data_set: str, place: tuple[int, str, int]) -> list[Decomposition]:
    """Decompositions of samples of a checkpoint, as `_samples_key` identifies them."""
    if data_set:
        source = next(s for s in data_sets.fitting(checkpoint).values() if s.spec == data_set)
        shown = data_sets.population(checkpoint, source)
    else:
        position, variant, count = place
        shown = [sample(checkpoint, n, position, variant) for n in range(count)]
    return [decomposition_of(checkpoint, subject) for subject in shown]


def _samples_key(checkpoint: Checkpoint) -> tuple[str, tuple[int, str, int]]:
    """The selected data set, or the slice, variant and number of the built-in samples that the sidebar selects.

    Raises:
        ValueError: there are no samples.
    """
    if data_set := st.session_state.get(state.DATA_SET):
        return data_set, (0, "", 0)
    source = subjects.sample_source(checkpoint)
    if source is None:
        raise ValueError("there are no samples of these modalities")
    samples = source.samples
    position = st.session_state.get(state.SLICE, samples.slices // 2) - 1
    return "", (position, st.session_state.get(state.DIFFICULTY, samples.variants[0]), samples.subjects)


@cached(16, "Encoding several subjects")
def _sample_distances(
    digest: str, data_set: str, place: tuple[int, str, int], _checkpoint: Checkpoint
) -> tuple[np.ndarray, np.ndarray, Dependence]:
    decompositions = _samples(_checkpoint, data_set, place)
    s = anatomy_distances(
        np.concatenate([f.s.argmax(1).reshape(len(f.s), -1) for f in decompositions]).astype(np.uint8)
    )
    z = euclidean_distances(np.concatenate([f.z_mean for f in decompositions]))
    owners = np.repeat(np.arange(len(decompositions)), [len(f.s) for f in decompositions])
    return s, z, dependence(s, z, owners)


def sample_distances(checkpoint: Checkpoint) -> tuple[np.ndarray, np.ndarray, Dependence]:
    """Distances between all samples at the sidebar's slice and variant, or some of a data set (Sec. V-H.3).

    Returns:
        Distances of s and of z, (n, n) each, rows by subject and then modality; and their dependence.

    Raises:
        ValueError: a factor is constant, or there are no samples.
    """
    return _sample_distances(checkpoint.digest, *_samples_key(checkpoint), checkpoint)


@cached(16, "Encoding several subjects")
def _directions(
    digest: str, data_set: str, place: tuple[int, str, int], _checkpoint: Checkpoint
) -> tuple[Direction, ...]:
    decompositions, names = _samples(_checkpoint, data_set, place), _checkpoint.config.modalities
    z = np.concatenate([f.z_mean for f in decompositions])
    labels = np.concatenate([[names.index(name) for name in f.names] for f in decompositions])
    return *principal_directions(z), *modality_directions(z, labels, names)


def directions(checkpoint: Checkpoint) -> tuple[Direction, ...]:
    """Principal components of z and the modality probe's normals, over the samples of `sample_distances`.

    Raises:
        ValueError: z is constant, or there are no samples.
    """
    return _directions(checkpoint.digest, *_samples_key(checkpoint), checkpoint)


@cached(16)
def _realigned(
    digest: str,
    images: str,
    pair: int,
    name: str,
    _model: FactorModel,
    _decomposition: Decomposition,
    _offsets: np.ndarray,
) -> Realigned:
    return realign(_model, _decomposition, pair, _offsets)


def warps(checkpoint: Checkpoint, subject: Subject, decomposition: Decomposition, pair: int) -> dict[str, Realigned]:
    """Results of a pair for the predicted and the identity warp, and for a spline fitted to the true one if known."""
    offsets_by_name = {"predicted": decomposition.offsets[pair], "identity": np.zeros_like(decomposition.offsets[pair])}
    if decomposition.pairs[pair] in subject.sampling:
        side = checkpoint.config.control_points
        offsets_by_name["true"] = nearest_offsets(subject.sampling[decomposition.pairs[pair]], side)
    return {
        name: _realigned(checkpoint.digest, subject.digest, pair, name, checkpoint.model, decomposition, offsets)
        for name, offsets in offsets_by_name.items()
    }


@cached(10)
def _misregistered(
    digest: str,
    images: str,
    pair: tuple[int, int],
    amount: float,
    seed: int,
    _model: FactorModel,
    _subject: Subject,
    _reference: np.ndarray,
) -> Misregistered:
    return _misregister(_model, _subject, pair, _reference, amount, seed)


def _misregister(
    model: FactorModel, subject: Subject, pair: tuple[int, int], reference: np.ndarray, amount: float, seed: int
) -> Misregistered:
    base = subject.sampling.get(pair)
    return misregister(model, subject.images, subject.modalities, pair, reference, amount, seed=seed, base=base)


def misregistered(
    checkpoint: Checkpoint,
    subject: Subject,
    decomposition: Decomposition,
    pair: tuple[int, int],
    amount: float,
    seed: int,
) -> Misregistered:
    """Registration of a subject whose moving modality is deformed by a known warp.

    Masks are compared with the ground truth in the fixed frame, or else with the mask of the fixed image's anatomy.
    """
    reference = subject.truth.get(pair[0], decomposition.single[pair[0]])
    return _misregistered(checkpoint.digest, subject.digest, pair, amount, seed, checkpoint.model, subject, reference)


@cached(64)
def _ranges(
    digest: str, images: str, pair: tuple[int, int], amounts: tuple[float, ...], seeds: tuple[int, ...]
) -> list[Range]:
    return []  # filled by the caller, because cached functions cannot update a progress bar


def misregistration(
    checkpoint: Checkpoint,
    subject: Subject,
    decomposition: Decomposition,
    pair: tuple[int, int],
    amounts: Sequence[float],
    seeds: Sequence[int],
    progress: Callable[[float], None],
) -> Range:
    """`misregistered` over amounts, the first one 0, and seeds; `progress` is called with the finished fraction."""
    cached_ranges = _ranges(checkpoint.digest, subject.digest, pair, tuple(amounts), tuple(seeds))
    reference, done = subject.truth.get(pair[0], decomposition.single[pair[0]]), []

    def run(amount: float, seed: int) -> Misregistered:
        made = _misregister(checkpoint.model, subject, pair, reference, amount, seed)
        done.append(amount)
        progress(len(done) / (1 + (len(amounts) - 1) * len(seeds)))
        return made

    if not cached_ranges:
        cached_ranges.append(misregistration_range(run, amounts, seeds))
    return cached_ranges[0]


@cached(16, "Weighing neighbouring slices")
def _candidates(
    digest: str, images: str, pair: tuple[int, int], _model: FactorModel, _subject: Subject
) -> tuple[np.ndarray, Weighed]:
    around = _subject.neighbour_images()
    return around, weigh(_model, around, _subject.modalities, pair)


def candidates(checkpoint: Checkpoint, subject: Subject, pair: tuple[int, int]) -> tuple[np.ndarray, Weighed]:
    """Neighbouring slices (n, K, H, W) of a subject, and their weighted masks in the fixed frame."""
    return _candidates(checkpoint.digest, subject.digest, pair, checkpoint.model, subject)
