"""Streamlit's side of the explorer: what is cached, what is chosen, what was uploaded.

Models and results are shared between sessions as read-only; uploads live in one session's memory alone, are
never written, and never logged.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import runpy
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st

import dafnet_core
from dafnet_core.analysis.decompose import Decomposition, channel_classes, decompose
from dafnet_core.analysis.dependence import Curve, dependence_curve
from dafnet_core.analysis.mixing import Mixed, mix_rows
from dafnet_core.analysis.probe import Reading, read_known
from dafnet_core.analysis.traversal import Traversal, steps_between, traverse
from dafnet_core.analysis.truth import controls, representations
from dafnet_core.checkpoint import Checkpoint, CheckpointError, from_bytes, load
from dafnet_core.data import phantom
from dafnet_core.data.prepare import default_label_table
from dafnet_core.data.readers import ReadError, Scan, Slice, read
from dafnet_core.evaluate import Evidence, Judged, evaluate_checkpoint, factor_distances
from dafnet_core.model import DAFNet
from explorer import subjects
from explorer.figures import gallery
from explorer.jobs import Jobs
from explorer.sheets import DARK, LIGHT, Theme, png
from explorer.subjects import Subject

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "checkpoints"
RUNS = ROOT / "runs"
FIRST = "cardiac-film"  # shown first: it has samples
OWN_CHECKPOINTS = 3
POPULATIONS = 8, 16, 24  # subjects that a checkpoint can be judged on at once
CURVE = 3, 4, 6, 8, 12, 16  # subjects for which dependence is computed beside all of them
SAMPLES, FILES = "Samples", "My files"


@st.cache_resource(max_entries=8, show_spinner="Loading the model")
def _checkpoint(path: str, changed: int) -> Checkpoint:
    return load(path)


@st.cache_resource(max_entries=64, show_spinner=False)
def _sample(digest: str, _checkpoint: Checkpoint, number: int, position: int, difficulty: str) -> Subject:
    return subjects.sample(_checkpoint, number, position, difficulty)


@st.cache_resource(max_entries=32, show_spinner="Taking the images apart")
def _decomposition(digest: str, images: str, _checkpoint: Checkpoint, _subject: Subject) -> Decomposition:
    return decompose(_checkpoint.model, _subject.images, _subject.modalities)


@st.cache_resource(max_entries=16, show_spinner="Moving z")
def _traversal(
    digest: str, anatomy: str, z: tuple[float, ...], steps: int, _model: DAFNet, _s: np.ndarray
) -> Traversal:
    return traverse(_model, _s, np.array(z), steps_between(count=steps))


def traversal(checkpoint: Checkpoint, s: np.ndarray, z: np.ndarray, steps: int) -> Traversal:
    """Every dimension of z moved over an anatomy (C, H, W)."""
    labels = s.argmax(0).astype(np.uint8)
    anatomy = hashlib.blake2b(labels.tobytes() + repr(labels.shape).encode(), digest_size=16).hexdigest()
    return _traversal(checkpoint.digest, anatomy, tuple(map(float, z)), steps, checkpoint.model, s)


def catalogue() -> dict[str, Path | Checkpoint]:
    """Every checkpoint that can be chosen, by name: shipped ones, best ones of runs/, and this session's uploads."""
    found: dict[str, Path | Checkpoint] = {path.stem: path for path in sorted(FOLDER.glob("*.safetensors"))}
    found |= {f"runs/{path.parent.name}": path for path in sorted(RUNS.glob("*/best.safetensors"))}
    return found | st.session_state.get("own-checkpoints", {})


def _open(entry: Path | Checkpoint) -> Checkpoint:
    """One of the catalogue; raises CheckpointError."""
    return entry if isinstance(entry, Checkpoint) else _checkpoint(str(entry), entry.stat().st_mtime_ns)


def run_logs(name: str) -> dict[str, list[dict[str, str]]]:
    """Rows of the logs of the run that a checkpoint of the catalogue is the best one of, by title; {} without one."""
    found = {}
    if name.startswith("runs/"):
        for title, file in (("Loss terms of training", "log.csv"), ("Validation", "validation.csv")):
            path = RUNS / name.removeprefix("runs/") / file
            if path.is_file():
                with open(path, newline="") as text:
                    found[title] = list(csv.DictReader(text))
    return found


def take_checkpoint(name: str, data: bytes) -> str:
    """Add an uploaded checkpoint to this session's catalogue, the three latest stay; its name there.

    Raises:
        CheckpointError: not one, or not a whole one; what was there before stays.
    """
    found = from_bytes(data, name)
    own = st.session_state.setdefault("own-checkpoints", {})
    name = f"{name.removesuffix('.safetensors')} (uploaded)"
    own.pop(name, None)
    own[name] = found
    for oldest in list(own)[:-OWN_CHECKPOINTS]:
        del own[oldest]
    return name


@dataclass(frozen=True)
class Kind:
    """What is asked of checkpoints that are not chosen: enough to tell which of them go together."""

    digest: str
    modalities: tuple[str, ...]
    classes: tuple[str, ...]
    decoder: str
    data: str

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Kind:
        config = checkpoint.config
        return cls(checkpoint.digest, config.modalities, config.classes, config.decoder, checkpoint.training["data"])


@st.cache_resource(max_entries=256, show_spinner="Looking at the checkpoints")
def _kind(path: str, changed: int) -> Kind | None:
    try:
        return Kind.of(load(path))
    except CheckpointError:
        return None


def others(checkpoint: Checkpoint) -> dict[str, Kind]:
    """Other checkpoints of the catalogue, by name, that know the same modalities and classes."""
    found, mine = {}, Kind.of(checkpoint)
    for name, entry in catalogue().items():
        is_path = isinstance(entry, Path)
        kind = _kind(str(entry), entry.stat().st_mtime_ns) if is_path else Kind.of(entry)
        if kind and (kind.modalities, kind.classes) == (mine.modalities, mine.classes) and kind.digest != mine.digest:
            found[name] = kind
    return found


def pick_other(checkpoint: Checkpoint, key: str, *, needed: bool) -> tuple[str, Checkpoint] | None:
    """A picker of a second checkpoint; where one is needed, the same data's other decoder comes first."""
    known = others(checkpoint)
    if needed and not known:
        st.info("No other checkpoint here knows the same modalities and classes; upload one on the page Checkpoints.")
        return None
    names = sorted(known, key=lambda name: known[name].data != checkpoint.training["data"])
    if needed:
        names.sort(key=lambda name: known[name].decoder == checkpoint.config.decoder)
    chosen = st.selectbox(
        "Beside it", names if needed else [None, *names], format_func=lambda n: n or "nothing", key=key,
        bind="query-params", help="Another checkpoint that knows the same modalities and classes",
    )  # fmt: skip
    return (chosen, _open(catalogue()[chosen])) if chosen else None


def taken_apart(checkpoint: Checkpoint, subject: Subject) -> Decomposition:
    """A checkpoint's decomposition of a subject."""
    return _decomposition(checkpoint.digest, subject.digest, checkpoint, subject)


@st.cache_resource(max_entries=1, show_spinner=False)
def _jobs() -> Jobs:
    return Jobs()


def _who() -> str:
    """This session among those that wait for work."""
    return st.session_state.setdefault("who", uuid.uuid4().hex)


@st.cache_resource(max_entries=1, show_spinner=False)
def data_sets() -> tuple[str, ...]:
    """Data sets that were named at the start: streamlit run app.py -- --data FOLDER [--data chaos:FOLDER]."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--data", action="append", default=[])
    return tuple(parser.parse_known_args(sys.argv[1:])[0].data)


@dataclass(frozen=True)
class Asked:
    """What a checkpoint is judged on: data as `evaluate --data` names them, and the seed of a sample of z, or None."""

    data: str
    sample_z: int | None = None

    @property
    def name(self) -> str:
        """The data without a path of this machine."""
        return self.data if self.data.startswith("phantom") else Path(self.data.rpartition(":")[2]).name

    @property
    def command(self) -> str:
        """Options of `evaluate` that give the same numbers."""
        return f"--data {self.name}" + ("" if self.sample_z is None else f" --sample-z {self.sample_z}")


def pick_data(checkpoint: Checkpoint) -> Asked | None:
    """Whom to judge a checkpoint on; None, with the reason shown, for nobody."""
    names = ["phantom"] * subjects.has_samples(checkpoint) + [Asked(spec).name for spec in data_sets()]
    with st.container(horizontal=True):
        chosen = names[0] if names else None
        if len(names) > 1:
            chosen = st.selectbox("Data", names, key="data-set")
        if chosen == "phantom":
            n = st.segmented_control(
                "Phantom subjects", POPULATIONS, default=POPULATIONS[0], required=True, key="population",
                bind="query-params", help="8 slices each, never trained on; more of them take longer and say more",
            )  # fmt: skip
            kind = st.segmented_control(
                "of difficulty", phantom.DIFFICULTIES, default="standard", required=True, key="judged-difficulty",
                bind="query-params",
            )  # fmt: skip
            return Asked(f"phantom:subjects={n},difficulty={kind}", _pick_z())
        if chosen:
            return Asked(next(spec for spec in data_sets() if Asked(spec).name == chosen), _pick_z())
    st.info(
        f"This checkpoint was trained on {checkpoint.training['data']}, which does not ship with the app. Numbers of "
        "its card are below. For more, start the app with data of these modalities: "
        "`streamlit run app.py -- --data FOLDER`, a folder in nnU-Net's layout."
    )
    return None


def _pick_z() -> int | None:
    kinds = {"mean": None, "sample": 0}
    return kinds[st.segmented_control(
        "z is the posterior's", list(kinds), default="mean", required=True, key="z-is", bind="query-params",
        help="The mean is what an image's z is everywhere else; a sample has the posterior's own noise",
    )]  # fmt: skip


def judged(checkpoint: Checkpoint, asked: Asked) -> Judged | None:
    """Every number of a checkpoint on a data set, made in the background; None, with its progress shown, until then.

    The work is shared with other sessions that ask for the same, and its result is kept.
    """
    key = checkpoint.digest, asked
    refused = st.session_state.setdefault("cancelled", set())
    job = _jobs().find(key)
    if key in refused and not (job and job.done):
        if st.button("Start again", key=f"again-{checkpoint.digest}"):
            refused.discard(key)
            st.rerun()
        return None
    if job is None or not job.done:
        job = _jobs().ask(
            key, _who(),
            lambda progress: evaluate_checkpoint(checkpoint, asked.data, sample_z=asked.sample_z, progress=progress),
        )  # fmt: skip
    if not job.done:
        _watch(key)
        return None
    try:
        return job.result
    except (ValueError, OSError) as error:
        st.error(f"These data cannot be used: {error}")
        return None


def about(checkpoint: Checkpoint, data: str, **settings: object) -> dict[str, object]:
    """What made a number or a picture, for exports: checkpoint, data by a name without paths, settings."""
    return {"checkpoint_digest": checkpoint.digest, "data": data, **settings, "dafnet": dafnet_core.__version__}


def data_name(subject: Subject) -> str:
    """What exports call a subject; never the name of a user's file."""
    return "upload" if subject.uploaded else subject.title


@st.cache_resource(max_entries=16, show_spinner="Reading what is known of the subjects")
def _readings(digest: str, asked: Asked, _evidence: Evidence) -> list[Reading]:
    return read_known(_evidence.encodings)


def readings(checkpoint: Checkpoint, asked: Asked, evidence: Evidence) -> list[Reading]:
    """What z and s tell of everything that is known of the subjects."""
    return _readings(checkpoint.digest, asked, evidence)


@st.cache_resource(max_entries=16, show_spinner="Reading everything from everything")
def _truth(digest: str, asked: Asked, modality: str, _evidence: Evidence) -> list[Reading]:
    found = _evidence.encodings
    return read_known(found, representations(found) | controls(found), modality)


def truth(checkpoint: Checkpoint, asked: Asked, modality: str, evidence: Evidence) -> list[Reading]:
    """What every representation, and two controls, tell of everything that is known, in images of one modality."""
    return _truth(checkpoint.digest, asked, modality, evidence)


@st.cache_resource(max_entries=16, show_spinner="Taking fewer and fewer subjects")
def _curve(digest: str, asked: Asked, _evidence: Evidence) -> Curve:
    found = _evidence.encodings
    counts = [k for k in CURVE if k < found.n_subjects] + [found.n_subjects]
    distances = factor_distances(found)
    return dependence_curve(distances["s"], distances["z"], found.subjects, counts)


def curve(checkpoint: Checkpoint, asked: Asked, evidence: Evidence) -> Curve:
    """Dependence of s and z over the number of subjects."""
    return _curve(checkpoint.digest, asked, evidence)


@st.cache_resource(max_entries=16, show_spinner="Mixing")
def _mixture(
    digest: str, asked: Asked, rows: tuple[int, ...], columns: tuple[int, ...], seed: int,
    _model: DAFNet, _evidence: Evidence,
) -> Mixed:  # fmt: skip
    return mix_rows(_model, _evidence.encodings, _evidence.probe, rows, columns, seed=seed)


def mixture(
    checkpoint: Checkpoint, asked: Asked, evidence: Evidence, rows: Sequence[int], columns: Sequence[int], seed: int
) -> Mixed:
    """Anatomies of some rows of the encodings with z of some rows; a column below 0 is a random z."""
    return _mixture(checkpoint.digest, asked, tuple(rows), tuple(columns), seed, checkpoint.model, evidence)


@st.fragment(run_every=0.5)
def _watch(key: tuple[str, Asked]) -> None:
    """A job's progress, and a way to end it; the page runs again when it is done."""
    job = _jobs().find(key)
    if job is None or job.done:
        st.rerun()
    ahead = _jobs().before(job)
    said = f"Waiting for {ahead} other judgement(s)" if ahead else f"Judging slice by slice: {job.share:.0%}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(job.share, said)
        if st.button("Cancel", key=f"cancel-{key[0]}"):
            st.session_state["cancelled"].add(key)
            _jobs().leave(key, _who())
            st.rerun()


@st.cache_resource(max_entries=16, show_spinner=False)
def _gallery(digest: str, _checkpoint: Checkpoint, position: int, difficulty: str, dark: bool) -> bytes:
    shown = [_sample(digest, _checkpoint, n, position, difficulty).images[0] for n in range(subjects.SAMPLES)]
    return png(gallery(shown, DARK if dark else LIGHT))


def theme() -> Theme:
    """Colours for drawn pictures that fit the page around them."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def pick_checkpoint() -> Checkpoint:
    """The sidebar's checkpoint picker; stops the page with a clear sentence if there is none to use."""
    known = catalogue()
    if not known:
        st.error(
            "There is no checkpoint in checkpoints/: train one with train.py --export, or restore the shipped ones."
        )
        st.stop()
    names = list(known)
    first = names.index(FIRST) if FIRST in names else 0
    chosen = st.selectbox(
        "Checkpoint", names, first, key="checkpoint", bind="query-params",
        help="A trained model: shipped ones, your runs in runs/, and what you upload on the page Checkpoints",
    )  # fmt: skip
    try:
        found = _open(known[chosen])
    except CheckpointError as error:
        st.error(str(error).replace(f"{ROOT}/", ""))
        st.stop()
    config = found.config
    decoder = {"film": "FiLM", "spade": "SPADE"}[config.decoder]
    st.caption(
        f"{decoder} decoder. Trained for **{' and '.join(config.modalities)}** on {found.training['data']}; "
        f"classes: {', '.join(config.classes[1:])}."
    )
    return found


def pick_subject(checkpoint: Checkpoint) -> Subject | None:
    """The sidebar's subject picker: a sample, or the user's own files; None as long as there is neither."""
    if not subjects.has_samples(checkpoint):
        return _pick_files(checkpoint)
    source = st.segmented_control("Subject", [SAMPLES, FILES], default=SAMPLES, required=True, key="source")
    own = _pick_files(checkpoint) if source == FILES else None
    st.session_state["waiting"] = source == FILES and own is None
    if own:
        return own
    if source == FILES:
        return _sample(checkpoint.digest, checkpoint, 0, phantom.SLICES // 2 - 1, "standard")
    numbers = range(1, subjects.SAMPLES + 1)
    number = st.selectbox("Phantom subject", numbers, key="subject", bind="query-params")
    position = st.slider(
        "Slice",
        1,
        phantom.SLICES,
        phantom.SLICES // 2,
        key="slice",
        bind="query-params",
        help="1 is the base of the heart",
    )
    difficulty = st.segmented_control(
        "Difficulty", phantom.DIFFICULTIES, default="standard", required=True, key="difficulty", bind="query-params",
        help="hard: the LGE alone is ambiguous, the cine stays clear",
    )  # fmt: skip
    dark = theme() is DARK
    st.image(
        _gallery(checkpoint.digest, checkpoint, position - 1, difficulty, dark),
        alt="This slice of every sample, by number",
    )
    return _sample(checkpoint.digest, checkpoint, number - 1, position - 1, difficulty)


def _scan(slot: str, files: Sequence, mask: bool) -> Scan | None:
    """Decode what an uploader holds, once; a refused file says why right under it."""
    ids = tuple(f.file_id for f in files)
    if not ids:
        st.session_state.pop(slot, None)
        return None
    if slot not in st.session_state or st.session_state[slot][0] != ids:
        try:
            with st.spinner("Reading"):
                found = read(*((f.name, f.getvalue()) for f in files), mask=mask)
        except ReadError as error:
            found = str(error)
        st.session_state[slot] = (ids, found)
    found = st.session_state[slot][1]
    if isinstance(found, str):
        st.error(found)
        return None
    return found


def _take(scan: Scan, name: str, key: str) -> Slice:
    """The chosen slice of a stack; the middle one at first."""
    volume = 0
    if scan.volumes > 1:
        volume = st.slider(f"Volume of {name}", 1, scan.volumes, 1, key=f"{key}-volume-{scan.values.shape}") - 1
    index = 0
    if scan.slices > 1:
        middle = scan.slices // 2 + 1
        index = st.slider(f"Slice of {name}", 1, scan.slices, middle, key=f"{key}-slice-{scan.values.shape}") - 1
    return scan.slice(index, volume)


def _pick_files(checkpoint: Checkpoint) -> Subject | None:
    """Uploaders, one a modality, each with an optional mask; None until there is an image that can be read."""
    slices: dict[int, Slice] = {}
    masks: dict[int, tuple[Slice, dict[int, int]]] = {}
    st.caption(
        "NIfTI, DICOM, PNG, JPEG, TIFF, BMP, NPY or NPZ; several files for a DICOM series. "
        "They stay in this session's memory and are never written."
    )
    for m, name in enumerate(checkpoint.config.modalities):
        files = st.file_uploader(name, accept_multiple_files=True, key=f"file-{name}")
        scan = _scan(f"scan-{name}", files, mask=False)
        if scan is None:
            continue
        slices[m] = _take(scan, name, f"take-{name}")
        with st.expander(f"Mask of {name} (optional)"):
            files = st.file_uploader(
                f"Mask of {name}", accept_multiple_files=True, key=f"mask-{name}", label_visibility="collapsed"
            )
            labels = _scan(f"labels-{name}", files, mask=True)
            if labels is not None and (chosen := _take_mask(labels, scan, name, checkpoint.config.classes)):
                masks[m] = chosen
    if not slices:
        return None
    try:
        return subjects.uploaded(checkpoint, slices, masks)
    except ReadError as error:
        st.error(str(error))
        return subjects.uploaded(checkpoint, slices, {})


def _take_mask(labels: Scan, scan: Scan, name: str, classes: tuple[str, ...]) -> tuple[Slice, dict[int, int]] | None:
    """The mask's slice of the same number as the image's, and a table of classes that the user sees and can change."""
    if labels.values.shape[1:] != scan.values.shape[1:]:
        rows = ["{} slices of {} x {} pixels".format(*s.values.shape[1:]) for s in (labels, scan)]
        st.error(f"{labels.name}: the mask has {rows[0]}, its image {rows[1]}; give the mask of this image.")
        return None
    index = st.session_state.get(f"take-{name}-slice-{scan.values.shape}", 1) - 1
    found = [int(v) for v in np.unique(labels.values)]
    try:
        table = default_label_table(found, len(classes))
    except ReadError as error:
        st.warning(str(error))
        table = dict.fromkeys(found, 0)
    for label in found:
        if label:
            kind = st.selectbox(
                f"Label {label} means", range(len(classes)), index=table[label], format_func=classes.__getitem__,
                key=f"label-{name}-{label}-{labels.name}",
            )  # fmt: skip
            table[label] = kind
    return labels.slice(index), table


def _chosen() -> tuple[Checkpoint, Subject | None]:
    if "chosen" not in st.session_state:
        # Streamlit's old discovery of pages/ runs a page without app.py, until app.py has called st.navigation once
        runpy.run_path(str(ROOT / "app.py"))
        st.stop()
    return st.session_state.pop("chosen")


def current_checkpoint() -> Checkpoint:
    """What the sidebar chose, for pages that need no subject."""
    return _chosen()[0]


def current() -> tuple[Checkpoint, Subject, Decomposition, tuple[int | None, ...]]:
    """What the sidebar chose: checkpoint, subject, its decomposition, and which channels are classes."""
    checkpoint, subject = _chosen()
    if subject is None:
        names = " and one of ".join(checkpoint.config.modalities)
        st.info(
            f"This checkpoint was trained on {checkpoint.training['data']}. None of its images ship with the app: "
            f"choose one file of {names} in the sidebar. One of them alone works too."
        )
        st.stop()
    found = taken_apart(checkpoint, subject)
    return checkpoint, subject, found, channel_classes(found, len(checkpoint.config.classes))


def say_domain(checkpoint: Checkpoint, subject: Subject) -> None:
    """Above uploads: what the checkpoint was trained for, and what was done to the files."""
    if st.session_state.get("waiting"):
        st.info("Drop one file per modality in the sidebar. Until then this is a built-in sample.")
    if not subject.uploaded:
        return
    config = checkpoint.config
    st.warning(
        f"This checkpoint was trained on {checkpoint.training['data']}, for {' and '.join(config.modalities)}, to find "
        f"{', '.join(config.classes[1:])}. On other images it shows what it does all the same; "
        "its masks mean little there."
    )
    if subject.notes:
        with st.expander(f"What was done to the files ({len(subject.notes)} notes)"):
            for note in subject.notes:
                st.markdown(f"- {note}")
