"""Background evaluation of a checkpoint: data set picker, progress, and cached results from its statistics."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from pathlib import Path

import streamlit as st

from dafnet_core.analysis.mixing import Mixed, mix_rows
from dafnet_core.analysis.reading import Reading, read_ground_truth
from dafnet_core.analysis.truth import controls, representations
from dafnet_core.checkpoints.card import selected_on
from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.data.source import DataSource
from dafnet_core.evaluate import evaluate_checkpoint, judged_part
from dafnet_core.evaluation.measures.dependence import factor_distances
from dafnet_core.evaluation.result import EvaluationResult
from dafnet_core.evaluation.run import Evaluation, FactorStatistics
from dafnet_core.methods.base import FactorModel
from dafnet_core.metrics.dependence import Curve, dependence_curve
from dafnet_explorer import (
    catalogue,
    data_sets,
    glossary,
    next_steps,
    provenance,
    session_lifetime,
    state,
    subjects,
    threads,
)
from dafnet_explorer.caches import cached
from dafnet_explorer.jobs import Jobs

POPULATIONS = 8, 16, 24  # numbers of subjects to evaluate on
CURVE_COUNTS = 3, 4, 6, 8, 12, 16  # numbers of subjects of the dependence curve, besides all


@st.cache_resource(max_entries=1, show_spinner=False)
def _jobs() -> Jobs:
    return Jobs(reconnect_seconds=session_lifetime.RECONNECT_SECONDS)


def client_id() -> str:
    """Identifier of this session among the clients of the job queue."""
    client = st.session_state.setdefault("client", uuid.uuid4().hex)
    session_lifetime.register(partial(_jobs().mark_connected, client), partial(_jobs().mark_disconnected, client))
    return client


@dataclass(frozen=True)
class EvaluationRequest:
    """Data set and options of an evaluation; also its cache key.

    Attributes:
        data: argument of `evaluate --data`.
        sample_z: seed of a sample of z; None for its mean.
        state: `_folder_digest` of a folder, so that changed files are evaluated again.
        split: the part that judges the checkpoint, as `judged_part` gives it.
        brief: of `evaluate_method`; a finished evaluation with all measures serves as well.
    """

    data: str
    sample_z: int | None = None
    state: str = ""
    split: str = "test"
    brief: bool = False

    @property
    def name(self) -> str:
        """Name of the data without a path of this machine."""
        return data_sets.folder_name(self.data)

    @property
    def command(self) -> str:
        """Options of `evaluate` that reproduce the numbers."""
        split = "" if self.split == "test" else f" --split {self.split}"
        sample = "" if self.sample_z is None else f" --sample-z {self.sample_z}"
        return f"--data {self.name}{split}{sample}" + (" --measures brief" if self.brief else "")


def pick_data(checkpoint: Checkpoint, key: str, first: int = 0) -> EvaluationRequest | None:
    """Data set to evaluate on, or None, with the reason shown.

    Args:
        key: widget key of the number of built-in subjects; pages with the same default share one.
        first: index of the default in POPULATIONS.
    """
    source = subjects.sample_source(checkpoint)
    specs = _specs(checkpoint, source)
    with st.container(horizontal=True, key="judged-data"):
        chosen = specs[0] if specs else None
        if len(specs) > 1:
            chosen = st.selectbox(
                "Data",
                specs,
                format_func=lambda spec: data_sets.readable_name(checkpoint, spec),
                key="data-set",
                help="Built-in data, or data sets named when the app was started",
            )
        if source and chosen == source.kind:
            return EvaluationRequest(_pick_samples(source, key, first), _pick_z())
        if chosen:
            part = _judged_part(checkpoint, chosen)
            request = EvaluationRequest(chosen, _pick_z(), _folder_digest(chosen), part)
            st.caption(_subjects_of(checkpoint, chosen, part))
            return request
    st.info(
        "This page evaluates a checkpoint on several subjects; your own files are one. This checkpoint was trained on "
        f"{checkpoint.training.data}, which is not part of the app. To evaluate it, {next_steps.START_WITH_DATA}, "
        "a folder in nnU-Net's layout."
    )
    next_steps.offer_card(checkpoint)
    return None


def has_data(checkpoint: Checkpoint) -> bool:
    """Whether there are subjects to evaluate a checkpoint on, which `pick_data` offers."""
    return bool(_specs(checkpoint, subjects.sample_source(checkpoint)))


def _specs(checkpoint: Checkpoint, source: DataSource | None) -> list[str]:
    """Data to choose from: the data set of the selected subject, built-in data, then what fits the checkpoint."""
    fitting = [found.spec for found in data_sets.fitting(checkpoint).values()]
    shown = [spec for spec in [st.session_state.get(state.DATA_SET)] if spec]
    return list(dict.fromkeys([*shown, *([source.kind] if source else []), *fitting, *data_sets.others(checkpoint)]))


def _subjects_of(checkpoint: Checkpoint, spec: str, part: str) -> str:
    """Which subjects of a data set are evaluated, and the licence of the data."""
    source = next((s for s in data_sets.fitting(checkpoint).values() if s.spec == spec), None)
    if source is None:
        return ""
    seen = checkpoint.training.split.seen()
    known = any(name in seen for name in source.names())
    count = sum(seen.get(name, "test") == part for name in source.names())
    chosen = "was validated on" if part == "val" else "was not trained or validated on"
    which = f"the {count} that the checkpoint {chosen}" if known else "all"
    return f"Subjects: {which}, of {len(source.names())}. Licence of the data: {data_sets.licence(source)}"


def about(checkpoint: Checkpoint, request: EvaluationRequest, **settings: object) -> dict[str, object]:
    """`provenance.about` of numbers of an evaluation, with the licence of the server's data."""
    source = next((s for s in data_sets.fitting(checkpoint).values() if s.spec == request.data), None)
    found = {"data_set": source.name, "licence_of_the_images": source.licence} if source else {}
    return provenance.about(checkpoint, request.name, **found, **settings)


def _pick_samples(source: DataSource, key: str, first: int) -> str:
    """Argument of `evaluate --data` for some subjects of a built-in source."""
    label = f"{source.kind.capitalize()} subjects"
    what = f"{source.samples.slices} slices each, not used in training; more subjects: slower, narrower intervals"
    subject_count = st.segmented_control(
        label,
        POPULATIONS,
        default=POPULATIONS[first],
        required=True,
        key=key,
        bind="query-params",
        help=glossary.explain(label, what),
    )
    variant = st.segmented_control(
        "of difficulty",
        source.samples.variants,
        default=source.samples.variants[0],
        required=True,
        key="judged-difficulty",
        bind="query-params",
        help=source.samples.variant_help,
    )
    return source.evaluation_spec(subject_count, variant)


def _folder_digest(spec: str) -> str:
    """Digest of names, sizes and times of all files of a data set; reading their contents on every run is too slow."""
    folder, seen = Path(spec.rpartition(":")[2]), hashlib.blake2b(digest_size=16)
    for file in sorted(f for f in folder.rglob("*") if f.is_file()):
        status = file.stat()
        seen.update(f"{file.relative_to(folder)} {status.st_size} {status.st_mtime_ns}\n".encode())
    return seen.hexdigest()


def _judged_part(checkpoint: Checkpoint, spec: str) -> str:
    try:
        return judged_part(checkpoint, spec)
    except (ValueError, OSError):
        return "test"  # the evaluation itself says what is wrong with the data


def _pick_z() -> int | None:
    kinds = {"mean": None, "sample": 0}
    return kinds[
        st.segmented_control(
            "z is the posterior's",
            list(kinds),
            default="mean",
            required=True,
            key="z-is",
            bind="query-params",
            help=glossary.explain(
                "posterior", "The mean is the z of all other pages; a sample has the posterior's noise"
            ),
        )
    ]


def _evaluate(checkpoint: Checkpoint, request: EvaluationRequest, progress: Callable[[float], None]) -> Evaluation:
    with threads.as_found():
        return evaluate_checkpoint(
            checkpoint,
            request.data,
            split=request.split,
            sample_z=request.sample_z,
            measures="brief" if request.brief else "default",
            progress=progress,
        )


def evaluation_of(checkpoint: Checkpoint, request: EvaluationRequest) -> Evaluation | None:
    """All numbers of a checkpoint on a data set, computed in the background; until then None, with progress shown.

    Sessions with the same request share one job and its cached result.
    """
    key = checkpoint.digest, request
    if request.brief:
        whole = _jobs().find((checkpoint.digest, replace(request, brief=False)))
        key = (checkpoint.digest, replace(request, brief=False)) if whole and whole.done else key
    cancelled = st.session_state.setdefault("cancelled", set())
    job = _jobs().find(key)
    if key in cancelled and not (job and job.done):
        if st.button("Start again", key=f"again-{checkpoint.digest}", help="Evaluate the checkpoint"):
            cancelled.discard(key)
            st.rerun()
        return None
    if job is None or not job.done:
        job = _jobs().submit(key, client_id(), partial(_evaluate, checkpoint, request))
    with st.container(key=f"evaluated-{checkpoint.digest}"):  # of one height, so that results keep their place
        if not job.done:
            _show_progress(key, catalogue.name_of(checkpoint))
            return None
        try:
            evaluation: Evaluation = job.result
        except (ValueError, OSError) as error:
            st.error(f"These data cannot be used: {data_sets.without_path(request.data, error)}")
            return None
        count = evaluation.result.n_subjects
        st.caption(f"Evaluated: {catalogue.name_of(checkpoint)} on {count} subjects of `{request.name}`.")
    if said := selected_on(evaluation.result):
        st.warning(said)
    return evaluation


def stored_on_the_same(a: Checkpoint, b: Checkpoint) -> list[EvaluationResult]:
    """The numbers that the cards of two checkpoints hold of the same data, those with most subjects; [] without any.

    Results of the slow measures alone have no number that is compared.
    """
    pairs = [
        [ours, theirs]
        for ours in a.metrics.values()
        for theirs in b.metrics.values()
        if ours.segmentation
        and theirs.segmentation
        and (ours.data, ours.split, ours.n_subjects) == (theirs.data, theirs.split, theirs.n_subjects)
    ]
    return max(pairs, key=lambda pair: pair[0].n_subjects, default=[])


def finished_evaluations(checkpoint: Checkpoint) -> dict[EvaluationRequest, Evaluation]:
    """Finished evaluations of a checkpoint, by request."""
    cached_results = [
        (key, evaluation) for key, evaluation in _jobs().results().items() if isinstance(evaluation, Evaluation)
    ]
    return {request: evaluation for (digest, request), evaluation in cached_results if digest == checkpoint.digest}


def time_left(seconds: float | None) -> str:
    """The time that a job still takes, roughly, after its progress; "" where it is not known.

    >>> time_left(None), time_left(33.1), time_left(200.0)
    ('', ', about 35 s left', ', about 4 min left')
    """
    if seconds is None:
        return ""
    return f", about {5 * ceil(seconds / 5):.0f} s left" if seconds <= 90 else f", about {ceil(seconds / 60)} min left"


@st.fragment(run_every=0.5)
def _show_progress(key: tuple[str, EvaluationRequest], name: str) -> None:
    """Progress and cancel button of a job; reruns the page when it is done."""
    client_id()
    job = _jobs().find(key)
    if job is None or job.done:
        st.rerun()
    queued = _jobs().queue_position(job)
    text = (
        f"{name}: waiting for {queued} other evaluation(s)"
        if queued
        else f"Evaluating {name}: {job.share:.0%}{time_left(job.seconds_left)}"
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(job.share, text)
        if st.button("Cancel", key=f"cancel-{key[0]}", help="Other sessions that wait for it are not affected"):
            st.session_state["cancelled"].add(key)
            _jobs().withdraw(key, client_id())
            st.rerun()


@cached(16, "Predicting known properties")
def _readings(digest: str, request: EvaluationRequest, _statistics: FactorStatistics) -> list[Reading]:
    return read_ground_truth(_statistics.encodings)


def readings(checkpoint: Checkpoint, request: EvaluationRequest, statistics: FactorStatistics) -> list[Reading]:
    """Scores of all known properties of the subjects, predicted from z and s."""
    return _readings(checkpoint.digest, request, statistics)


@cached(16, "Predicting known properties")
def _all_readings(
    digest: str, request: EvaluationRequest, modality: str, _statistics: FactorStatistics
) -> list[Reading]:
    encodings = _statistics.encodings
    return read_ground_truth(encodings, representations(encodings) | controls(encodings), modality)


def all_readings(
    checkpoint: Checkpoint, request: EvaluationRequest, modality: str, statistics: FactorStatistics
) -> list[Reading]:
    """Scores of all known properties from every representation and two controls, in images of one modality."""
    return _all_readings(checkpoint.digest, request, modality, statistics)


@cached(16, "Computing dependence by number of subjects")
def _dependence_curve(digest: str, request: EvaluationRequest, _statistics: FactorStatistics) -> Curve:
    encodings = _statistics.encodings
    counts = [k for k in CURVE_COUNTS if k < encodings.n_subjects] + [encodings.n_subjects]
    distances = factor_distances(encodings)
    return dependence_curve(distances["s"], distances["z"], encodings.subjects, counts)


def dependence_by_subjects(checkpoint: Checkpoint, request: EvaluationRequest, statistics: FactorStatistics) -> Curve:
    """Dependence of s and z over the number of subjects."""
    return _dependence_curve(checkpoint.digest, request, statistics)


@cached(16, "Mixing factors")
def _mixture(
    digest: str,
    request: EvaluationRequest,
    rows: tuple[int, ...],
    columns: tuple[int, ...],
    seed: int,
    _model: FactorModel,
    _statistics: FactorStatistics,
) -> Mixed:
    return mix_rows(_model, _statistics.encodings, _statistics.probe, rows, columns, seed=seed)


def mixture(
    checkpoint: Checkpoint,
    request: EvaluationRequest,
    statistics: FactorStatistics,
    rows: Sequence[int],
    columns: Sequence[int],
    seed: int,
) -> Mixed:
    """Anatomies of some rows of the encodings with z of some rows; a column below 0 is a random z."""
    return _mixture(checkpoint.digest, request, tuple(rows), tuple(columns), seed, checkpoint.model, statistics)
