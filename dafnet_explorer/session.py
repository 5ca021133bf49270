"""What is chosen, and what is made of it: checkpoints, subjects, and every result that a page shows of them.

Models and results are shared between sessions as read-only; uploads and all that is made of them live in one session's
memory alone, end with it (`presence.py`), are never written, and never logged.
"""

from __future__ import annotations

import csv
import gc
import hashlib
import runpy
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st

import dafnet_core
from dafnet_core.analysis.candidates import Weighed, weigh
from dafnet_core.analysis.decompose import Decomposition, channel_classes, decompose
from dafnet_core.analysis.editing import Realigned, realign
from dafnet_core.analysis.misregistration import Misregistered, Range, misregister, misregistration_range
from dafnet_core.analysis.quiz import Question, ask
from dafnet_core.analysis.traversal import Traversal, steps_between, traverse, traverse_one
from dafnet_core.checkpoints.file import Checkpoint, CheckpointError, from_bytes, load
from dafnet_core.data import phantom
from dafnet_core.drawing import DARK, LIGHT, Theme, png
from dafnet_core.metrics.dependence import Dependence, anatomy_distances, dependence, euclidean_distances
from dafnet_core.metrics.registration import nearest_offsets
from dafnet_core.networks.dafnet import DAFNet
from dafnet_explorer import background_evaluation, subjects, uploads
from dafnet_explorer.caches import cached
from dafnet_explorer.figures import DECODERS, channel_colours, gallery
from dafnet_explorer.subjects import Subject

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "checkpoints"
RUNS = ROOT / "runs"
FIRST = "cardiac-film"  # shown first: it has samples
OWN_CHECKPOINTS = 3
SAMPLES, FILES = "Samples", "My files"


@st.cache_resource(max_entries=8, show_spinner="Loading the model")
def _checkpoint(path: str, changed: int) -> Checkpoint:
    return load(path)


@cached(64)
def _sample(digest: str, _checkpoint: Checkpoint, number: int, position: int, difficulty: str) -> Subject:
    return subjects.sample(_checkpoint, number, position, difficulty)


@cached(32, "Taking the images apart")
def _decomposition(digest: str, images: str, _checkpoint: Checkpoint, _subject: Subject) -> Decomposition:
    return decompose(_checkpoint.model, _subject.images, _subject.modalities)


@cached(16, "Moving z")
def _traversal(
    digest: str, anatomy: str, z: tuple[float, ...], steps: int, _model: DAFNet, _s: np.ndarray
) -> Traversal:
    return traverse(_model, _s, np.array(z), steps_between(count=steps))


def traversal(checkpoint: Checkpoint, s: np.ndarray, z: np.ndarray, steps: int) -> Traversal:
    """Every dimension of z moved over an anatomy (C, H, W)."""
    return _traversal(checkpoint.digest, _digest(s), tuple(map(float, z)), steps, checkpoint.model, s)


def _digest(s: np.ndarray) -> str:
    labels = s.argmax(0).astype(np.uint8)
    return hashlib.blake2b(labels.tobytes() + repr(labels.shape).encode(), digest_size=16).hexdigest()


@cached(16)
def _frames(
    digest: str, anatomy: str, z: tuple[float, ...], dimension: int, count: int, _model: DAFNet, _s: np.ndarray
) -> np.ndarray:
    return traverse_one(_model, _s, np.array(z), dimension, steps_between(count=count))


def frames(checkpoint: Checkpoint, s: np.ndarray, z: np.ndarray, dimension: int, count: int) -> np.ndarray:
    """One dimension of z moved over an anatomy (C, H, W) in many steps, (count, H, W)."""
    return _frames(checkpoint.digest, _digest(s), tuple(map(float, z)), dimension, count, checkpoint.model, s)


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
    st.session_state["private"] = True
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
        "Beside it",
        names if needed else [None, *names],
        format_func=lambda n: n or "nothing",
        key=key,
        bind="query-params",
        help="Another checkpoint that knows the same modalities and classes",
    )
    return (chosen, _open(catalogue()[chosen])) if chosen else None


def twin(checkpoint: Checkpoint) -> Checkpoint | None:
    """The first checkpoint of the same modalities and classes with the other decoder, the same data's before others.

    Raises:
        CheckpointError: its file is no longer a whole one.
    """
    known = [(name, kind) for name, kind in others(checkpoint).items() if kind.decoder != checkpoint.config.decoder]
    known.sort(key=lambda entry: entry[1].data != checkpoint.training["data"])
    return _open(catalogue()[known[0][0]]) if known else None


def taken_apart(checkpoint: Checkpoint, subject: Subject) -> Decomposition:
    """A checkpoint's decomposition of a subject."""
    return _decomposition(checkpoint.digest, subject.digest, checkpoint, subject)


def twin_colours(checkpoint: Checkpoint, subject: Subject) -> tuple[str, ...]:
    """A colour for each channel of the twin, by the classes that it finds in a subject."""
    other = twin(checkpoint)
    return channel_colours(channel_classes(taken_apart(other, subject), len(other.config.classes)), other.colours)


@cached(64, "Making a question")
def _question(
    digest: str,
    images: str,
    other: str | None,
    seed: int,
    n: int,
    _model: DAFNet,
    _found: Decomposition,
    _other: tuple[DAFNet, Decomposition] | None,
) -> Question:
    return ask(_model, _found, seed, n, _other)


def question(checkpoint: Checkpoint, subject: Subject, seed: int, n: int) -> Question:
    """Question n (from 0) of a seed about a subject, with the other decoder where there is one.

    Raises:
        ValueError: no change of any factor is seen in the subject's images.
    """
    other = twin(checkpoint)
    beside = (other.model, taken_apart(other, subject)) if other else None
    return _question(
        checkpoint.digest,
        subject.digest,
        other and other.digest,
        seed,
        n,
        checkpoint.model,
        taken_apart(checkpoint, subject),
        beside,
    )


def about(checkpoint: Checkpoint, data: str, **settings: object) -> dict[str, object]:
    """What made a number or a picture, for exports: checkpoint, data by a name without paths, settings."""
    return {"checkpoint_digest": checkpoint.digest, "data": data, **settings, "dafnet": dafnet_core.__version__}


def data_name(subject: Subject) -> str:
    """What exports call a subject; never the name of a user's file."""
    return "upload" if subject.uploaded else subject.title


@cached(16, "Looking at every sample")
def _samples_apart(
    digest: str, position: int, difficulty: str, _checkpoint: Checkpoint
) -> tuple[np.ndarray, np.ndarray, Dependence]:
    shown = [_sample(digest, _checkpoint, n, position, difficulty) for n in range(subjects.SAMPLES)]
    found = [taken_apart(_checkpoint, subject) for subject in shown]
    s = anatomy_distances(np.concatenate([f.s.argmax(1).reshape(len(f.s), -1) for f in found]).astype(np.uint8))
    z = euclidean_distances(np.concatenate([f.z_mean for f in found]))
    owners = np.repeat(np.arange(len(found)), [len(f.s) for f in found])
    return s, z, dependence(s, z, owners)


def samples_apart(checkpoint: Checkpoint) -> tuple[np.ndarray, np.ndarray, Dependence]:
    """Every sample's images at the sidebar's slice and difficulty (Sec. V-H.3).

    Returns:
        Distances of s and of z, (n, n) each, rows by subject and then modality; and their dependence.

    Raises:
        ValueError: a factor is the same in all of them.
    """
    position = st.session_state.get("slice", phantom.SLICES // 2) - 1
    return _samples_apart(checkpoint.digest, position, st.session_state.get("difficulty", "standard"), checkpoint)


@cached(24)
def _realigned(
    digest: str, images: str, pair: int, name: str, _model: DAFNet, _found: Decomposition, _offsets: np.ndarray
) -> Realigned:
    return realign(_model, _found, pair, _offsets)


def warps(checkpoint: Checkpoint, subject: Subject, found: Decomposition, pair: int) -> dict[str, Realigned]:
    """What a pair gives under no warp, the predicted one, and the spline that is nearest to the true one if known."""
    known = {"predicted": found.offsets[pair], "identity": np.zeros_like(found.offsets[pair])}
    if found.pairs[pair] in subject.sampling:
        side = checkpoint.config.control_points
        known["true"] = nearest_offsets(subject.sampling[found.pairs[pair]], side)
    return {
        name: _realigned(checkpoint.digest, subject.digest, pair, name, checkpoint.model, found, offsets)
        for name, offsets in known.items()
    }


@cached(16)
def _misregistered(
    digest: str,
    images: str,
    pair: tuple[int, int],
    amount: float,
    seed: int,
    _model: DAFNet,
    _subject: Subject,
    _reference: np.ndarray,
) -> Misregistered:
    return _misregister(_model, _subject, pair, _reference, amount, seed)


def _misregister(
    model: DAFNet, subject: Subject, pair: tuple[int, int], reference: np.ndarray, amount: float, seed: int
) -> Misregistered:
    base = subject.sampling.get(pair)
    return misregister(model, subject.images, subject.modalities, pair, reference, amount, seed=seed, base=base)


def misregistered(
    checkpoint: Checkpoint, subject: Subject, found: Decomposition, pair: tuple[int, int], amount: float, seed: int
) -> Misregistered:
    """A subject whose moving modality is deformed by a known warp.

    Masks are compared with the truth in the fixed frame, or without one with the mask of the fixed image's own
    anatomy.
    """
    reference = subject.truth.get(pair[0], found.single[pair[0]])
    return _misregistered(checkpoint.digest, subject.digest, pair, amount, seed, checkpoint.model, subject, reference)


@cached(64)
def _ranges(
    digest: str, images: str, pair: tuple[int, int], amounts: tuple[float, ...], seeds: tuple[int, ...]
) -> list[Range]:
    return []  # a place for one that is made outside: nothing that is cached can move a progress bar


def misregistration(
    checkpoint: Checkpoint,
    subject: Subject,
    found: Decomposition,
    pair: tuple[int, int],
    amounts: Sequence[float],
    seeds: Sequence[int],
    progress: Callable[[float], None],
) -> Range:
    """`misregistered` over amounts, the first one 0, and some shapes each; `progress` hears the share that is done."""
    kept = _ranges(checkpoint.digest, subject.digest, pair, tuple(amounts), tuple(seeds))
    reference, done = subject.truth.get(pair[0], found.single[pair[0]]), []

    def one(amount: float, seed: int) -> Misregistered:
        made = _misregister(checkpoint.model, subject, pair, reference, amount, seed)
        done.append(amount)
        progress(len(done) / (1 + (len(amounts) - 1) * len(seeds)))
        return made

    if not kept:
        kept.append(misregistration_range(one, amounts, seeds))
    return kept[0]


@cached(16, "Weighing neighbouring slices")
def _candidates(
    digest: str, images: str, pair: tuple[int, int], _model: DAFNet, _subject: Subject
) -> tuple[np.ndarray, Weighed]:
    around = _subject.around()
    return around, weigh(_model, around, _subject.modalities, pair)


def candidates(checkpoint: Checkpoint, subject: Subject, pair: tuple[int, int]) -> tuple[np.ndarray, Weighed]:
    """Neighbouring slices of a subject that has them, (n, K, H, W), and what they give in the frame of one."""
    return _candidates(checkpoint.digest, subject.digest, pair, checkpoint.model, subject)


@cached(16)
def _gallery(digest: str, _checkpoint: Checkpoint, position: int, difficulty: str, dark: bool) -> bytes:
    shown = [_sample(digest, _checkpoint, n, position, difficulty).images[0] for n in range(subjects.SAMPLES)]
    return png(gallery(shown, DARK if dark else LIGHT))


def theme() -> Theme:
    """Colours for drawn pictures that fit the page around them."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def pick_checkpoint() -> Checkpoint:
    """The sidebar's checkpoint picker; stops the page with a clear sentence if there is none to use."""
    background_evaluation.who()
    known = catalogue()
    if not known:
        st.error(
            "There is no checkpoint in checkpoints/: train one with train.py --export, or restore the shipped ones."
        )
        st.stop()
    names = list(known)
    first = names.index(FIRST) if FIRST in names else 0
    chosen = st.selectbox(
        "Checkpoint",
        names,
        first,
        key="checkpoint",
        bind="query-params",
        help="A trained model: shipped ones, your runs in runs/, and what you upload on the page Checkpoints",
    )
    try:
        found = _open(known[chosen])
    except CheckpointError as error:
        st.error(str(error).replace(f"{ROOT}/", ""))
        st.stop()
    config = found.config
    decoder = DECODERS[config.decoder]
    st.caption(
        f"{decoder} decoder. Trained for **{' and '.join(config.modalities)}** on {found.training['data']}; "
        f"classes: {', '.join(config.classes[1:])}."
    )
    return found


def pick_subject(checkpoint: Checkpoint) -> Subject | None:
    """The sidebar's subject picker: a sample, or the user's own files; None as long as there is neither."""
    if not subjects.has_samples(checkpoint):
        return uploads.pick_files(checkpoint)
    source = st.segmented_control(
        "Subject",
        [SAMPLES, FILES],
        default=SAMPLES,
        required=True,
        key="source",
        help="Built-in phantom hearts with known truth, or your own images",
    )
    own = uploads.pick_files(checkpoint) if source == FILES else None
    st.session_state["waiting"] = source == FILES and own is None
    if own:
        return own
    if source == FILES:
        return _sample(checkpoint.digest, checkpoint, 0, phantom.SLICES // 2 - 1, "standard")
    numbers = range(1, subjects.SAMPLES + 1)
    number = st.selectbox(
        "Phantom subject",
        numbers,
        key="subject",
        bind="query-params",
        help="Never trained on; the pictures below show this slice of each",
    )
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
        "Difficulty",
        phantom.DIFFICULTIES,
        default="standard",
        required=True,
        key="difficulty",
        bind="query-params",
        help="hard: the LGE alone is ambiguous, the cine stays clear",
    )
    dark = theme() is DARK
    st.image(
        _gallery(checkpoint.digest, checkpoint, position - 1, difficulty, dark),
        alt="This slice of every sample, by number",
        output_format="PNG",
    )
    return _sample(checkpoint.digest, checkpoint, number - 1, position - 1, difficulty)


@st.cache_resource(max_entries=64, show_spinner=False)
def _freeze(modules: int) -> None:
    gc.collect()
    gc.freeze()


def freeze_imports() -> None:
    """Spare what modules were imported from garbage collection.

    Streamlit collects after every run, and walks through all of them each time: 0.2 s in which no picture is sent.
    """
    _freeze(len(sys.modules))


def _chosen() -> tuple[Checkpoint, Subject | None]:
    if "chosen" not in st.session_state:
        # Streamlit's AppTest discovers pages/ anew and runs a page without app.py, until that has called st.navigation
        runpy.run_path(str(ROOT / "app.py"))
        if st.session_state.get("discovered"):
            st.stop()
        st.session_state["discovered"] = True
        st.rerun()
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
