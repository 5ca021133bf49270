"""Mix: any anatomy with any modality factor, and whether the generated image preserves both."""

import streamlit as st

from dafnet_core.checkpoints.card import selected_on
from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.drawing import DARK, png
from dafnet_core.methods.decomposition import decompose
from dafnet_explorer import (
    background_evaluation,
    components,
    controls,
    glossary,
    mixing,
    next_steps,
    sidebar,
    state,
    style_section,
)
from dafnet_explorer.figures.downloads import table_csv
from dafnet_explorer.figures.mix import (
    hover_text,
    mixture_inspection,
    mixture_rows,
    mixture_sheet,
    mixture_text,
    row_names,
)
from dafnet_explorer.figures.pixels import channel_colours
from dafnet_explorer.figures.texts import cell

MAX_SIDE = 6  # rows and columns
RANDOM = {f"random z {n}": -n for n in (1, 2, 3)}

checkpoint, subject = sidebar.current_selection()
theme = sidebar.theme()
style_section.mix_instead(checkpoint, subject, theme)

st.title("Mix")
st.markdown(
    "Find out whether an image that is generated from any anatomy and any modality factor keeps the structure of "
    "the one and the appearance of the other. "
    "Rows are anatomies, columns are modality factors, cells are **g(s, z)**. Each image is re-encoded and scored "
    "twice: *kept* is the Dice of its mask with that of the row's anatomy, the percentage is the probe's probability "
    "of the column's modality. If content and style are disentangled, the z of another image keeps about as much as "
    "the z of the same image does, and reaches its modality. A random z need not be of any modality, so its "
    "percentage may be low."
)
sidebar.stop_without_factors(checkpoint)
several = background_evaluation.has_data(checkpoint)
if not several and subject is None:
    next_steps.say_what_mix_needs(checkpoint)
    st.stop()
own = mixing.pick_images(subject, several=several) == mixing.OWN
request = None if own else background_evaluation.pick_data(checkpoint, state.POPULATION)


def images_of(model: Checkpoint) -> mixing.Mixable | None:
    return mixing.of_subject(model, subject) if own else mixing.of_request(model, request)


if own:
    glossary.subject_caption(subject.title, [checkpoint.config.modalities[m] for m in subject.modalities])
    sidebar.show_domain_notice(checkpoint, subject)
    if len(subject.images) < 2:
        sidebar.say_one_modality("there is nothing to mix")
        st.stop()


def show_until_then() -> None:
    """The selected slice mixed with itself, and what the card holds, while the evaluation runs."""
    stored = next((r for r in checkpoint.metrics.values() if r.swap), None)
    if stored:
        with st.container(horizontal=True, key="facts"):
            for way, swap in stored.swap.items():
                a, b = way.split("_to_")
                title = f"s of {a} with z of {b}"
                what = glossary.explain(title, "Share that is classified as z's modality.")
                st.metric(title, cell(swap.accuracy), width="content", help=what)
        st.caption(
            f"From the checkpoint's card: the share of images that the probe takes for the modality of their z, of "
            f"{stored.n_subjects} subjects of `{stored.data}`. {selected_on(stored)}"
        )
    if subject is None or len(subject.images) < 2:
        return
    images = mixing.of_subject(checkpoint, subject)
    names, every = images.encodings.names, range(len(images.encodings.names))
    mixed = images.mixture(every, every, 0)
    with st.container(key="sheet_until_then"):
        controls.image(
            mixture_sheet(
                mixed.made,
                images.encodings.anatomies,
                (names, names),
                list(images.encodings.images),
                mixed.reached,
                list(names),
                channel_colours(images.encodings.channel_classes, checkpoint.colours),
                theme,
            ),
            "Each anatomy of the selected slice with each of its modality factors, with scores",
        )
    st.caption(f"Until the evaluation has run: {subject.title} alone, without a probe of the modality.")


data = images_of(checkpoint) if own or request else None
until_then = st.empty()  # what follows when it is done has places of its own, so that nothing moves
if data is None:
    if request:
        with until_then.container():
            show_until_then()
    st.stop()
e = data.encodings
if own:
    names, middle = list(e.names), list(range(len(e.names)))
else:
    names = row_names(e)
    middle = [names.index(n) for n in names if f"slice {e.positions.max() // 2 + 1}," in n]
if not data.probed:
    st.info(
        "From these images no probe of the modality can be made, which needs several subjects: there is no percentage, "
        "and no random z."
    )
random = RANDOM if data.probed else {}
left, right = st.columns(2)
with left:
    rows = st.multiselect(
        "Anatomies of",
        names,
        [names[n] for n in middle[:4]],
        max_selections=MAX_SIDE,
        key="mix-rows",
        bind="query-params",
        help="Images whose anatomies are the rows; up to six",
    )
with right:
    columns = st.multiselect(
        "Modality factors of",
        [*names, *random],
        [*(names[n] for n in middle[:4]), *list(random)[:1]],
        max_selections=MAX_SIDE,
        key="mix-columns",
        bind="query-params",
        help="A random z is drawn from N(0, I); its modality is the one the probe predicts",
    )
with st.container(horizontal=True, vertical_alignment="bottom"):
    seed = 0
    if random:
        seed = st.number_input(
            "Seed of random z", 0, 9999, 0, key="seed", bind="query-params", help="Seed of the random number generator"
        )
    other = controls.pick_other(checkpoint, "mixed-with", needed=False)
if not rows or not columns:
    st.info("Choose at least one anatomy and one modality factor.")
    st.stop()

rows_of_s = [names.index(n) for n in rows]
columns_of_z = [RANDOM[n] if n in RANDOM else names.index(n) for n in columns]
shown = [("checkpoint A", checkpoint, data)]
if other and (theirs := images_of(other[1])):
    if theirs.probed != data.probed:
        st.info(f"{other[0]}: the modality cannot be probed on these data.")
    else:
        shown.append((*other, theirs))


def select_cell(row: int, column: int) -> None:
    """Inspect a cell; the first row and column show the anatomies and the style images."""
    st.session_state["mix-row"], st.session_state["mix-column"] = max(row - 1, 0), max(column - 1, 0)


for n, (title, model, images) in enumerate(shown):
    mixed = images.mixture(rows_of_s, columns_of_z, seed)
    encodings = images.encodings
    styles = [encodings.images[k] if k >= 0 else None for k in columns_of_z]
    reached = [encodings.names[m] for m in mixed.modalities]
    picture = mixture_sheet(
        mixed.made,
        encodings.anatomies[rows_of_s],
        (rows, columns),
        styles,
        mixed.reached,
        reached,
        channel_colours(encodings.channel_classes, model.colours),
        theme,
    )
    if len(shown) > 1:
        st.subheader(f"{sidebar.short_title(model)} ({title})", help=glossary.explain(sidebar.short_title(model)))
    alt = "Images of every selected anatomy with every selected modality factor, with scores"
    if n:
        with st.container(key="sheet_beside"):
            controls.image(picture, alt)
    else:
        cell = st.session_state.get("mix-row", 0), st.session_state.get("mix-column", 0)
        components.tiles(picture, alt, (cell[0] + 1, cell[1] + 1), key="cell", on_change=select_cell)
    st.caption(
        mixture_text(mixed, (rows, columns), (rows_of_s, columns_of_z)),
        help="Why do images with their own z not keep everything? Decoding loses some of an image, and encoding again "
        "is not exact: compare the z of other images with that.",
    )
    about = images.about(seed=seed)
    with st.container(horizontal=True):
        controls.download(
            "This sheet (PNG)",
            lambda picture=picture, about=about: png(picture, about),
            controls.file_name("mix", subject if own else request.name, "png", checkpoint=other[0] if n else ""),
            key=f"png-{n}",
        )
        table = mixture_rows(mixed, rows, columns, reached)
        controls.download(
            "Its scores (CSV)",
            lambda table=table, about=about: table_csv(table, about),
            controls.file_name("mix", subject if own else request.name, "csv", checkpoint=other[0] if n else ""),
            key=f"verdicts-{n}",
        )


@st.fragment
def inspect_cell() -> None:
    st.subheader("Inspect a cell")
    with st.container(horizontal=True):
        r = st.selectbox(
            "Anatomy of",
            range(len(rows)),
            format_func=rows.__getitem__,
            key="mix-row",
            bind="query-params",
            help="The cell's row",
        )
        k = st.selectbox(
            "z of",
            range(len(columns)),
            format_func=columns.__getitem__,
            key="mix-column",
            bind="query-params",
            help="The cell's column",
        )
    mixed = data.mixture(rows_of_s, columns_of_z, seed)
    image, modality = mixed.made.images[r, k], e.names[mixed.modalities[k]]
    reencoded = decompose(checkpoint.model, image[None], (checkpoint.config.modalities.index(modality),))
    own = data.mixture(rows_of_s[r : r + 1], rows_of_s[r : r + 1], seed)
    text = hover_text(e.anatomies[rows_of_s[r]], reencoded, checkpoint.config.classes)
    style = e.images[columns_of_z[k]] if columns_of_z[k] >= 0 else None
    st.plotly_chart(
        mixture_inspection(image, own.made.images[0, 0], e.images[rows_of_s[r]], style, text, theme is DARK),
        key="mix-closer",
        alt="Linked views of one cell; channels before and after, and the mask, under the cursor",
    )
    reached = f"reached {mixed.reached[r, k]:.1%}, " if data.probed else ""
    st.caption(
        f"Scored as {modality}: kept {mixed.made.dice[r, k]:.3f} (Dice), {reached}"
        f"channels unchanged {mixed.made.agreement[r, k]:.3f}."
    )


inspect_cell()
