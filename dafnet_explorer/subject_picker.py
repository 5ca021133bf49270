"""The subject picker in the sidebar: built-in samples, subjects of the server's data sets, or the user's files."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.data.source import DataSource
from dafnet_core.drawing import DARK, LIGHT, png
from dafnet_explorer import bar, data_sets, next_steps, results, state, subjects, upload_area, upload_slices, uploads
from dafnet_explorer.caches import cached
from dafnet_explorer.figures.thumbnails import gallery, short_names
from dafnet_explorer.sidebar import theme
from dafnet_explorer.subjects import Subject

SAMPLES, FILES = data_sets.TAKEN
IN_GALLERY = 12  # subjects of a data set


def pick_subject(checkpoint: Checkpoint, place: DeltaGenerator) -> Subject | None:
    """A sample, a subject of a data set or the user's files; None without any.

    Args:
        place: at the top of the page, for the area of the user's files.
    """
    upload_area.reopen()
    st.session_state[state.AREA_OPEN] = False
    built_in = subjects.sample_source(checkpoint)
    named = data_sets.fitting(checkpoint)
    st.session_state[state.PLACE], st.session_state[state.DATA_SET] = {}, ""
    for name, reason in data_sets.problems(checkpoint).items():
        st.warning(f"The data set {name} cannot be shown. {reason}")
    kinds = [*([SAMPLES] if built_in else []), *named, FILES]
    if len(kinds) > 1:
        kind = _pick_kind(kinds, built_in)
    else:
        kind = FILES
        if uploads.all_of_session():
            st.session_state[state.SOURCE] = FILES  # also for the next checkpoint
    if kind not in named:
        st.query_params.pop(state.SOURCE, None)
    elif st.query_params.get(state.SOURCE) != kind:
        st.query_params[state.SOURCE] = kind
    own = _pick_own(checkpoint, place) if kind == FILES else None
    upload_area.remember()
    with place:
        upload_area.ask_again()
    st.session_state[state.WAITING] = kind == FILES and own is None and len(kinds) > 1
    if own:
        return own
    if kind == SAMPLES:
        return _pick_built_in(checkpoint, built_in)
    if kind in named:
        return _pick_named(checkpoint, kind, named[kind])
    if built_in:
        return results.sample(checkpoint, 0, built_in.samples.slices // 2 - 1, built_in.samples.variants[0])
    return _first_of(checkpoint, next(iter(named.values()))) if named else None


def _pick_own(checkpoint: Checkpoint, place: DeltaGenerator) -> Subject | None:
    """The user's files: the area for them on the page, slices in the sidebar; None if no file fits the checkpoint."""
    area = upload_area.show(checkpoint, place)
    count = len(uploads.all_of_session())
    label = f"Your data ({count} file{'s' if count > 1 else ''})" if count else "Add your data"
    st.button(
        label, key="open-your-data", on_click=next_steps.open_own_data, help="Opens their area at the top of the page"
    )
    own = upload_slices.pick(checkpoint, area)
    if own is None and count:
        with area.below:
            next_steps.say_that_nothing_fits(checkpoint)
    return own


def _pick_kind(kinds: list[str], built_in: DataSource | None) -> str:
    if st.session_state.get(state.SOURCE) not in kinds:
        st.session_state.pop(state.SOURCE, None)
        if (linked := st.query_params.get(state.SOURCE)) in kinds:
            st.session_state[state.SOURCE] = linked
    described = [f"built-in {built_in.samples.about}"] if built_in else []
    described += ["subjects of the data sets of this server"] if set(kinds) - {SAMPLES, FILES} else []
    first = ", or ".join(described)
    return st.segmented_control(
        "Subject",
        kinds,
        default=kinds[0],
        required=True,
        key=state.SOURCE,
        persist_state="session",
        help=f"{first[0].upper()}{first[1:]}, or your own images",
    )


@cached(16)
def _gallery(
    digest: str, _checkpoint: Checkpoint, position: int, variant: str, subject_count: int, dark: bool
) -> bytes:
    shown = [results.sample(_checkpoint, n, position, variant).images[0] for n in range(subject_count)]
    return png(gallery(shown, [str(n) for n in range(1, subject_count + 1)], DARK if dark else LIGHT))


def _pick_built_in(checkpoint: Checkpoint, source: DataSource) -> Subject:
    """One of a source's samples, with thumbnails of all."""
    samples = source.samples
    if st.session_state.get(state.SUBJECT, 1) not in range(1, samples.subjects + 1):
        del st.session_state[state.SUBJECT]  # it is the name of a subject of another data set
    numbers = range(1, samples.subjects + 1)
    number = st.selectbox(
        f"{source.kind.capitalize()} subject",
        numbers,
        key=state.SUBJECT,
        bind="query-params",
        help="Not used in training; the thumbnails show this slice of each",
    )
    bar.offer("Subject", state.SUBJECT, numbers)
    position = _pick_slice(samples.slices, samples.slices // 2, samples.slice_help)
    variant = st.segmented_control(
        "Difficulty",
        samples.variants,
        default=samples.variants[0],
        required=True,
        key=state.DIFFICULTY,
        bind="query-params",
        help=samples.variant_help,
    )
    dark = theme() is DARK
    st.image(
        _gallery(checkpoint.digest, checkpoint, position, variant, samples.subjects, dark),
        alt="This slice of every sample, by number",
        output_format="PNG",
    )
    st.session_state[state.PLACE] = {
        key: st.session_state[key] for key in (state.SUBJECT, state.SLICE, state.DIFFICULTY)
    }
    return results.sample(checkpoint, number - 1, position, variant)


def _pick_slice(count: int, middle: int, help_text: str) -> int:
    """Index of the chosen slice; the middle one if another subject's slice is not there."""
    if not 1 <= st.session_state.get(state.SLICE, 1) <= count:
        del st.session_state[state.SLICE]
    if count == 1:
        st.session_state.pop(state.SLICE, None)
        return 0
    position = st.slider("Slice", 1, count, middle, key=state.SLICE, bind="query-params", help=help_text) - 1
    bar.offer("Slice", state.SLICE, range(1, count + 1))
    return position


def _pick_named(checkpoint: Checkpoint, title: str, source: DataSource) -> Subject | None:
    """A slice of a subject of a data set, with thumbnails, its role in training and the licence."""
    names = data_sets.ordered(checkpoint, source)
    if st.session_state.get(state.SUBJECT, names[0]) not in names:
        del st.session_state[state.SUBJECT]
    name = st.selectbox(
        f"Subject of {title}",
        names,
        key=state.SUBJECT,
        bind="query-params",
        help="Those that the checkpoint was not trained on come first",
    )
    bar.offer("Subject", state.SUBJECT, names)
    st.caption(data_sets.role(checkpoint, source, name))
    st.session_state[state.DATA_SET] = source.spec
    try:
        slices = data_sets.slices(checkpoint, source, name)
        data_sets.keep_thumbnail(checkpoint, source, name, slices)
    except (ValueError, OSError) as error:
        st.error(data_sets.without_path(source.spec, error))
        return None
    position = _pick_slice(len(slices), len(slices) // 2 + 1, source.samples.slice_help)
    _show_thumbnails(checkpoint, source, names, name)
    st.caption(f"Images: {title}. Licence: {data_sets.licence(source)}")
    if source.classes != checkpoint.config.classes:
        st.caption(
            f"Its masks are of {', '.join(source.classes[1:])}, which this checkpoint does not segment: "
            "they are not shown."
        )
    st.session_state[state.PLACE] = {state.SOURCE: title, state.SUBJECT: name, state.SLICE: position + 1}
    return data_sets.subject(checkpoint, source, name, position)


def _first_of(checkpoint: Checkpoint, source: DataSource) -> Subject | None:
    """The middle slice of a data set's first subject, until the user's files are there."""
    name = data_sets.ordered(checkpoint, source)[0]
    try:
        subject = data_sets.subject(checkpoint, source, name, len(data_sets.slices(checkpoint, source, name)) // 2)
    except (ValueError, OSError):
        return None
    st.session_state[state.DATA_SET] = source.spec
    return subject


def _show_thumbnails(checkpoint: Checkpoint, source: DataSource, names: tuple[str, ...], name: str) -> None:
    """Middle slices of the subjects around the chosen one; those not read yet are read one by one, after the page."""
    first = names.index(name) // IN_GALLERY * IN_GALLERY
    shown = names[first : first + IN_GALLERY]
    dark = theme() is DARK

    def draw() -> None:
        pictures = data_sets.thumbnails(checkpoint, source, shown)
        st.image(
            png(gallery(pictures, short_names(shown), DARK if dark else LIGHT)),
            alt="The middle slice of subjects of this data set, by name",
            output_format="PNG",
        )

    def read_and_draw() -> None:
        if st.session_state.get(_TICKED) == shown and not data_sets.add_thumbnail(checkpoint, source, shown):
            st.session_state.pop(_TICKED)
            st.rerun()  # without the timer
        st.session_state[_TICKED] = shown
        draw()

    if all(picture is not None for picture in data_sets.thumbnails(checkpoint, source, shown)):
        draw()
    else:
        st.session_state.pop(_TICKED, None)  # nothing is read in the run that shows the page
        st.fragment(read_and_draw, run_every=0.5)()


_TICKED = "gallery-shown"  # subjects of the gallery that is being filled
