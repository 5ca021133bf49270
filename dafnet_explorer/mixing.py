"""The page Mix: images whose factors are mixed, of evaluated subjects or of the user's slice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from dafnet_core.analysis.encodings import Encoded, Encodings
from dafnet_core.analysis.mixing import Mixed, mix_rows
from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.methods.base import FactorModel
from dafnet_explorer import background_evaluation, provenance, results
from dafnet_explorer.background_evaluation import EvaluationRequest
from dafnet_explorer.caches import cached
from dafnet_explorer.subjects import Subject

OWN, SUBJECTS = "your slice", "subjects of a data set"


@dataclass(frozen=True, eq=False)
class Mixable:
    """Images of a checkpoint whose factors can be mixed.

    Attributes:
        encodings: of the images.
        probed: whether the modality can be probed, so that there are scores of it and random z.
        mixture: of some rows with z of some rows, for a seed; as `mixing.mix_rows`.
        about: provenance of what is made, with further settings.
    """

    encodings: Encodings
    probed: bool
    mixture: Callable[[Sequence[int], Sequence[int], int], Mixed]
    about: Callable[..., dict[str, Any]]


def of_request(checkpoint: Checkpoint, request: EvaluationRequest) -> Mixable | None:
    """Images of a data set, once they are evaluated; until then None, with progress shown."""
    evaluation = background_evaluation.evaluation_of(checkpoint, request)
    if evaluation is None or evaluation.statistics is None:
        return None
    statistics = evaluation.statistics

    def mixture(rows: Sequence[int], columns: Sequence[int], seed: int) -> Mixed:
        return background_evaluation.mixture(checkpoint, request, statistics, rows, columns, seed)

    def about(**settings: object) -> dict[str, Any]:
        return background_evaluation.about(checkpoint, request, **settings)

    return Mixable(statistics.encodings, statistics.probe is not None, mixture, about)


def of_subject(checkpoint: Checkpoint, subject: Subject) -> Mixable:
    """The images of one slice, in at least two modalities; one subject is too little for a probe."""
    decomposition = results.decomposition_of(checkpoint, subject)
    config = checkpoint.config
    one = [Encoded.of(decomposition, "", 0)]
    encodings = Encodings(decomposition.names, config.classes, config.channels, one)

    def mixture(rows: Sequence[int], columns: Sequence[int], seed: int) -> Mixed:
        return _own_mixture(
            checkpoint.digest, subject.digest, tuple(rows), tuple(columns), seed, checkpoint.model, encodings
        )

    def about(**settings: object) -> dict[str, Any]:
        return provenance.about_subject(checkpoint, subject, **settings)

    return Mixable(encodings, False, mixture, about)


@cached(16, "Mixing factors")
def _own_mixture(
    digest: str,
    images: str,
    rows: tuple[int, ...],
    columns: tuple[int, ...],
    seed: int,
    _model: FactorModel,
    _encodings: Encodings,
) -> Mixed:
    return mix_rows(_model, _encodings, None, rows, columns, seed=seed)


def pick_images(subject: Subject | None, *, several: bool) -> str:
    """Whose factors are mixed, OWN or SUBJECTS: a choice for files of the user.

    Args:
        several: whether there are subjects to evaluate on.
    """
    own = subject is not None and (subject.uploaded or not several)
    if not own or not several:
        return OWN if own else SUBJECTS
    return st.segmented_control(
        "Images",
        (OWN, SUBJECTS),
        default=OWN,
        required=True,
        key="mix-images",
        bind="query-params",
        help="The images of the selected slice, or slices of many subjects, whose modality can be probed",
    )
