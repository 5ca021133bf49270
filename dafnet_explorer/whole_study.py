"""The user's whole study predicted to NIfTI: every slice of the uploaded files, on their own voxels, as one ZIP.

Kept in the memory of the session until other files, another checkpoint or other contents are chosen; never written.
"""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.data.readers import ReadError, Scan
from dafnet_core.data.studies import prepare_stacks
from dafnet_core.prediction.record import content_digest, files, settings_of
from dafnet_core.prediction.slices import WHAT, predict_subject
from dafnet_explorer import controls, provenance, state
from dafnet_explorer.subjects import Subject

MOST_BYTES = 1 << 30  # of all results before they are compressed
_one_at_a_time = threading.Lock()  # a study takes seconds to a minute of both cores


def result_bytes(checkpoint: Checkpoint, scans: Mapping[int, Scan], what: Sequence[str]) -> int:
    """Size of all results before compression."""
    partners, classes, channels = len(scans) - 1, len(checkpoint.config.classes), checkpoint.config.channels
    each = {
        "masks": 2 + partners,
        "probabilities": 4 * classes,
        "anatomy": 1 + channels,
        "warps": 12 * partners,
        "reconstructions": 4 * (1 + partners),
    }
    return sum(scan.values[0].size for scan in scans.values()) * sum(each.get(name, 0) for name in what)


def predicted_zip(
    checkpoint: Checkpoint,
    scans: Mapping[int, Scan],
    what: Sequence[str],
    progress: Callable[[float], None] = lambda share: None,
) -> bytes:
    """All slices of scans, predicted: a ZIP with the files of `dafnet-predict`.

    Args:
        scans: of one volume each, by index of the modality in the model, in one plane.
        what: contents, of WHAT.
        progress: called with the share that is done, in [0, 1]; exceptions that it raises propagate, to cancel.

    Raises:
        ReadError: scans that cannot be brought together.
    """
    stacks = prepare_stacks(list(scans.values()), [None] * len(scans), checkpoint.preparation, {})
    prepared = dict(zip(scans, stacks, strict=True))
    settings = settings_of(checkpoint, what)
    found = predict_subject(
        checkpoint.method,
        "upload",
        prepared,
        checkpoint.preparation,
        what=what,
        pairing=settings["settings"]["pairing"],
        candidates=settings["settings"]["candidates"],
        progress=lambda share: progress(0.8 * share),
    )
    record = {**settings, "data": {"source": "upload"}, "content": content_digest(scans)}
    folder, packed = f"prediction-{provenance.short_digest(checkpoint)}", io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:  # the volumes are compressed already
        for name, content in files(found, record):
            progress(0.9)
            archive.writestr(f"{folder}/{name}", content)
    return packed.getvalue()


def section(checkpoint: Checkpoint, subject: Subject) -> None:
    """The part of a page that predicts the uploaded study; nothing for samples."""
    if not subject.scans:
        st.session_state.pop(state.PREDICTED, None)
        return
    scans = subject.scans
    count = sum(scan.slices for scan in scans.values())
    st.subheader("The whole study")
    st.markdown(
        f"Every slice of your files ({count} in all), not only the one shown, as NIfTI on the voxels of your files, "
        "with a JSON that says how each file was made. Slices are paired by position, as in training."
    )
    what = st.multiselect(
        "Contents",
        list(WHAT),
        default=["masks"],
        key="predicted",
        bind="query-params",
        help="; ".join(f"{name}: {about}" for name, about in WHAT.items()),
    )
    if st.button("Predict the whole study (NIfTI)", disabled=not what, help="Takes about a second for five slices"):
        _predict(checkpoint, scans, what)
    key, packed = st.session_state.get(state.PREDICTED, (None, b""))
    if key is not None and key == (checkpoint.digest, tuple(what), content_digest(scans)):
        name = controls.file_name("decompose", "prediction of the whole upload", "zip")
        size = f"{len(packed) / 1e6:.1f} MB" if len(packed) >= 1e6 else f"{-(-len(packed) // 1000)} kB"
        controls.download(f"Prediction (ZIP, {size})", packed, name)


def _predict(checkpoint: Checkpoint, scans: Mapping[int, Scan], what: Sequence[str]) -> None:
    """Predict and keep the ZIP for this session; a reason is shown where it cannot be."""
    st.session_state.pop(state.PREDICTED, None)
    if (size := result_bytes(checkpoint, scans, what)) > MOST_BYTES:
        st.error(
            f"The results would take {size / 2**30:.1f} GB, more than the {MOST_BYTES >> 30} GB that a page makes; "
            "choose fewer contents, or use dafnet-predict on the command line."
        )
        return
    bar = st.progress(0.0, "Predicting")
    # the bar raises an exception once the visitor has done something else
    while not _one_at_a_time.acquire(timeout=0.5):
        bar.progress(0.0, "Waiting for another visitor's prediction")
    try:
        packed = predicted_zip(checkpoint, scans, what, lambda share: bar.progress(share, "Predicting"))
        st.session_state[state.PREDICTED] = (checkpoint.digest, tuple(what), content_digest(scans)), packed
    except ReadError as error:
        st.error(str(error))
    finally:
        _one_at_a_time.release()
        bar.empty()
