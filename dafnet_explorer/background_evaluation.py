"""Evaluation of a checkpoint in the background: choice of the data, progress, and cached results of its statistics."""

from __future__ import annotations

import argparse
import hashlib
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import streamlit as st

from dafnet_core.analysis.mixing import Mixed, mix_rows
from dafnet_core.analysis.reading import Reading, read_ground_truth
from dafnet_core.analysis.truth import controls, representations
from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.data.source import DataSource
from dafnet_core.data.sources import source_class
from dafnet_core.evaluate import evaluate_checkpoint
from dafnet_core.evaluation.measures.dependence import factor_distances
from dafnet_core.evaluation.run import Evaluation, FactorStatistics
from dafnet_core.methods.base import FactorModel
from dafnet_core.metrics.dependence import Curve, dependence_curve
from dafnet_explorer import session_lifetime, subjects
from dafnet_explorer.caches import cached
from dafnet_explorer.jobs import Jobs

POPULATIONS = 8, 16, 24  # subjects that a checkpoint can be judged on at once
CURVE = 3, 4, 6, 8, 12, 16  # subjects for which dependence is computed beside all of them


@st.cache_resource(max_entries=1, show_spinner=False)
def _jobs() -> Jobs:
    return Jobs(patience=session_lifetime.RETURN)


def who() -> str:
    """This session among those that wait for work."""
    found = st.session_state.setdefault("who", uuid.uuid4().hex)
    session_lifetime.here(partial(_jobs().back, found), partial(_jobs().away, found))
    return found


@st.cache_resource(max_entries=1, show_spinner=False)
def data_sets() -> tuple[str, ...]:
    """Data sets that were named at the start: streamlit run app.py -- --data FOLDER [--data chaos:FOLDER]."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--data", action="append", default=[])
    return tuple(parser.parse_known_args(sys.argv[1:])[0].data)


@dataclass(frozen=True)
class EvaluationRequest:
    """What a checkpoint is evaluated on, which is also the key of what is kept of it.

    Attributes:
        data: as `evaluate --data` names them.
        sample_z: seed of a sample of z; None for its mean.
        state: of a folder's files, by `_state_of`; judged again when they change.
    """

    data: str
    sample_z: int | None = None
    state: str = ""

    @property
    def name(self) -> str:
        """The data without a path of this machine."""
        return self.data if source_class(self.data).built_in else Path(self.data.rpartition(":")[2]).name

    @property
    def command(self) -> str:
        """Options of `evaluate` that give the same numbers."""
        return f"--data {self.name}" + ("" if self.sample_z is None else f" --sample-z {self.sample_z}")


def pick_data(checkpoint: Checkpoint, key: str, first: int = 0) -> EvaluationRequest | None:
    """Whom to judge a checkpoint on; None, with the reason shown, for nobody.

    Args:
        key: of the choice how many built-in subjects; pages that begin with the same number share one.
        first: which of POPULATIONS they begin with.
    """
    source = subjects.sample_source(checkpoint)
    known = ([source.kind] if source else []) + list(data_sets())
    with st.container(horizontal=True):
        chosen = known[0] if known else None
        if len(known) > 1:
            chosen = st.selectbox(
                "Data",
                known,
                format_func=lambda spec: EvaluationRequest(spec).name,
                key="data-set",
                help="Built-in data, or what was named when the app was started",
            )
        if source and chosen == source.kind:
            return EvaluationRequest(_pick_samples(source, key, first), _pick_z())
        if chosen:
            return EvaluationRequest(chosen, _pick_z(), _state_of(chosen))
    st.info(
        f"This checkpoint was trained on {checkpoint.training.data}, which does not ship with the app. Numbers of "
        "its card are below. For more, start the app with data of these modalities: "
        "`streamlit run app.py -- --data FOLDER`, a folder in nnU-Net's layout."
    )
    return None


def _pick_samples(source: DataSource, key: str, first: int) -> str:
    """The name on the command line of some subjects of a built-in source."""
    subject_count = st.segmented_control(
        f"{source.kind.capitalize()} subjects",
        POPULATIONS,
        default=POPULATIONS[first],
        required=True,
        key=key,
        bind="query-params",
        help=f"{source.samples.slices} slices each, never trained on; more of them take longer and say more",
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


def _state_of(spec: str) -> str:
    """Digest of the names, sizes and times of all files of a data set; their contents are too much for every run."""
    folder, seen = Path(spec.rpartition(":")[2]), hashlib.blake2b(digest_size=16)
    for file in sorted(f for f in folder.rglob("*") if f.is_file()):
        status = file.stat()
        seen.update(f"{file.relative_to(folder)} {status.st_size} {status.st_mtime_ns}\n".encode())
    return seen.hexdigest()


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
            help="The mean is what an image's z is everywhere else; a sample has the posterior's own noise",
        )
    ]


def evaluated(checkpoint: Checkpoint, request: EvaluationRequest) -> Evaluation | None:
    """Every number of a checkpoint on a data set, made in the background; None, with its progress shown, until then.

    The work is shared with other sessions that ask for the same, and its result is kept.
    """
    key = checkpoint.digest, request
    refused = st.session_state.setdefault("cancelled", set())
    job = _jobs().find(key)
    if key in refused and not (job and job.done):
        if st.button("Start again", key=f"again-{checkpoint.digest}", help="Judge the checkpoint after all"):
            refused.discard(key)
            st.rerun()
        return None
    if job is None or not job.done:
        job = _jobs().ask(
            key,
            who(),
            lambda progress: evaluate_checkpoint(
                checkpoint, request.data, sample_z=request.sample_z, progress=progress
            ),
        )
    if not job.done:
        _watch(key)
        return None
    try:
        return job.result
    except (ValueError, OSError) as error:
        st.error(f"These data cannot be used: {error}")
        return None


def already_evaluated(checkpoint: Checkpoint) -> dict[EvaluationRequest, Evaluation]:
    """What `evaluated` has at hand of a checkpoint, by request."""
    known = [(key, found) for key, found in _jobs().results().items() if isinstance(found, Evaluation)]
    return {request: found for (digest, request), found in known if digest == checkpoint.digest}


@st.fragment(run_every=0.5)
def _watch(key: tuple[str, EvaluationRequest]) -> None:
    """A job's progress, and a way to end it; the page runs again when it is done."""
    who()
    job = _jobs().find(key)
    if job is None or job.done:
        st.rerun()
    ahead = _jobs().before(job)
    said = f"Waiting for {ahead} other judgement(s)" if ahead else f"Judging slice by slice: {job.share:.0%}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(job.share, said)
        if st.button("Cancel", key=f"cancel-{key[0]}", help="Others who wait for the same go on"):
            st.session_state["cancelled"].add(key)
            _jobs().leave(key, who())
            st.rerun()


@cached(16, "Reading what is known of the subjects")
def _readings(digest: str, request: EvaluationRequest, _statistics: FactorStatistics) -> list[Reading]:
    return read_ground_truth(_statistics.encodings)


def readings(checkpoint: Checkpoint, request: EvaluationRequest, statistics: FactorStatistics) -> list[Reading]:
    """What z and s tell of everything that is known of the subjects."""
    return _readings(checkpoint.digest, request, statistics)


@cached(16, "Reading everything from everything")
def _truth(digest: str, request: EvaluationRequest, modality: str, _statistics: FactorStatistics) -> list[Reading]:
    found = _statistics.encodings
    return read_ground_truth(found, representations(found) | controls(found), modality)


def truth(
    checkpoint: Checkpoint, request: EvaluationRequest, modality: str, statistics: FactorStatistics
) -> list[Reading]:
    """What every representation, and two controls, tell of everything that is known, in images of one modality."""
    return _truth(checkpoint.digest, request, modality, statistics)


@cached(16, "Taking fewer and fewer subjects")
def _curve(digest: str, request: EvaluationRequest, _statistics: FactorStatistics) -> Curve:
    found = _statistics.encodings
    counts = [k for k in CURVE if k < found.n_subjects] + [found.n_subjects]
    distances = factor_distances(found)
    return dependence_curve(distances["s"], distances["z"], found.subjects, counts)


def curve(checkpoint: Checkpoint, request: EvaluationRequest, statistics: FactorStatistics) -> Curve:
    """Dependence of s and z over the number of subjects."""
    return _curve(checkpoint.digest, request, statistics)


@cached(16, "Mixing")
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
