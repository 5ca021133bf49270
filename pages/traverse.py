"""Traverse: how each dimension of the modality factor changes the image (Sec. V-H.2, Fig. 9)."""

import numpy as np
import streamlit as st

from dafnet_core.analysis.decompose import kl_per_dimension
from dafnet_core.analysis.directions import dimensions
from dafnet_core.analysis.traversal import LIMIT, STILL, steps_between
from dafnet_core.analysis.traversal import sheet as plane
from dafnet_core.drawing import DARK, Tile, grey, png, sheet, stack
from dafnet_core.methods.decomposition import decompose
from dafnet_explorer import components, controls, glossary, provenance, results, sidebar, style_section, traversals
from dafnet_explorer.figures.charts import chart
from dafnet_explorer.figures.downloads import table_csv
from dafnet_explorer.figures.traverse import (
    SORTS,
    directions_sheet,
    effect_figure,
    effect_names,
    effect_rows,
    interpolation_sheet,
    kept_sentence,
    plane_sheet,
    probe_accuracies,
    regions_of,
    traverse_animation,
    traverse_inspection,
    traverse_numbers,
    traverse_order,
    traverse_sheet,
)

VALUES = steps_between(count=25)  # of the animation along one direction; those of 5, 7 and 9 steps are among them

theme = sidebar.theme()
checkpoint, subject = sidebar.current_subject()
style_section.traverse_instead(checkpoint, subject, theme)
decomposition, _ = sidebar.decomposed(checkpoint, subject)
dark = theme is DARK


st.title("Traverse")
st.markdown("Find out what each dimension of the modality factor **z** changes in an image.")
glossary.subject_caption(subject.title, decomposition.names)
sidebar.show_domain_notice(checkpoint, subject)
st.markdown(
    "The anatomy **s** is fixed, and one dimension of **z** at a time varies from -3 to 3, three standard deviations "
    "of its prior. *Correlation* is each pixel's Pearson correlation with the dimension; grey pixels change by less "
    f"than {STILL:g} and have none. Each dimension is named after the organs whose mean intensity it changes most in "
    "this image. If content and style are disentangled, brightness changes and positions stay: how far they do is "
    "measured below."
)
with st.container(horizontal=True):
    names = list(decomposition.names)
    modality = st.segmented_control(
        "Anatomy and z of",
        names,
        default=names[0],
        required=True,
        key="moved",
        bind="query-params",
        help="Image whose anatomy is fixed and whose z varies",
    )
    sort = st.segmented_control(
        "Sort dimensions by",
        SORTS,
        default=SORTS[0],
        required=True,
        key="sort",
        bind="query-params",
        help="Order of the rows",
    )
    steps = st.segmented_control(
        "Steps",
        (5, 7, 9),
        default=7,
        required=True,
        key="steps",
        bind="query-params",
        help="Images per dimension, from -3 to 3",
    )
    wants_directions = st.toggle(
        "Directions of the samples",
        key="directions",
        bind="query-params",
        help="Also move z along its principal components over the sample subjects, and along the modality probe",
    )
i = names.index(modality)
s, z_own = decomposition.s[i], decomposition.z_mean[i]
rows = list(dimensions(len(z_own)))
try:
    rows += results.directions(checkpoint) if wants_directions else []
except ValueError as error:
    st.info(f"No directions of samples: {error}.")
regions = regions_of(subject, decomposition, i, checkpoint.config.classes)
moved = traversals.traversal(checkpoint, s, z_own, steps)
found = rows[len(z_own) :]
along = traversals.traversal(checkpoint, s, z_own, steps, found) if found else None
effects = effect_names(moved, regions) + (effect_names(along, regions) if along else [])
kl, accuracies = kl_per_dimension(decomposition)[i], probe_accuracies(checkpoint.metrics)
order = traverse_order(moved, kl, accuracies, sort)
about = provenance.about_subject(checkpoint, subject, modality=modality, steps=steps, sorted_by=sort)


def select(direction: int, column: int) -> None:
    """Inspect a tile; for a map, keep the value."""
    st.session_state["dimension"] = direction
    if column < steps:
        choose_value(int(np.abs(VALUES - moved.values[column]).argmin()))


def choose_value(frame: int) -> None:
    """Remember the value of the inspected direction, also in the link."""
    st.session_state["at"] = frame
    st.query_params["at"] = f"{VALUES[frame]:g}"


def chosen_value() -> int:
    """Index in VALUES of the inspected value: chosen, or of the link, or the largest."""
    if "at" not in st.session_state:
        try:
            st.session_state["at"] = int(np.abs(VALUES - float(st.query_params["at"])).argmin())
        except (KeyError, ValueError):
            st.session_state["at"] = len(VALUES) - 1
    return st.session_state["at"]


def marked(order: list[int]) -> tuple[int, int] | None:
    """Row and column of the inspected tile in a sheet with these directions; None if it is not there."""
    column = np.flatnonzero(np.isclose(moved.values, VALUES[chosen_value()]))
    row = st.session_state.get("dimension")
    return (order.index(row), int(column[0])) if row in order and len(column) else None


second = controls.pick_other(checkpoint, "beside", needed=False)
sheets = [traverse_sheet(moved, kl, accuracies, sort, theme, effects[: len(z_own)])]
titles = [(f"{sidebar.short_title(checkpoint)} (checkpoint A)", checkpoint.digest)]
if second:
    st.subheader(titles[0][0], help=glossary.explain(titles[0][0]))
alt = f"Rows of images of {modality}, one row per dimension of z, with correlation and difference maps"
components.tiles(sheets[0], alt, marked(order), key="tile", on_change=lambda r, c: select(order[r], c))
glossary.caption(
    "Click a tile to inspect it. Probe: accuracy of the modality classified from this dimension alone, on held-out "
    "subjects (also on the card). Effect: mean absolute change from the first to the last step. KL in nats, of this "
    "image."
)
positions = [(st.empty(), checkpoint, decomposition, moved)]  # filled last, since encoding takes a while
if second:
    beside = results.decomposition_of(second[1], subject)
    other = traversals.traversal(second[1], beside.s[i], beside.z_mean[i], steps)
    regions_beside = regions_of(subject, beside, i, second[1].config.classes)
    accuracies_beside = probe_accuracies(second[1].metrics)
    shown = effect_names(other, regions_beside)
    sheets.append(traverse_sheet(other, kl_per_dimension(beside)[i], accuracies_beside, sort, theme, shown))
    titles.append((f"{sidebar.short_title(second[1])} ({second[0]})", second[1].digest))
    st.subheader(titles[1][0], help=glossary.explain(titles[1][0]))
    with st.container(key="sheet_beside"):
        controls.image(sheets[1], alt)
    positions.append((st.empty(), second[1], beside, other))
for place, *_ in positions:
    place.markdown("Do positions stay? The images are being encoded again.")
if along:
    st.subheader("Directions of the samples")
    sheets.append(directions_sheet(along, found, effects[len(z_own) :], theme))
    titles.append(("Directions of the samples", checkpoint.digest))
    order_along = list(range(len(z_own), len(rows)))
    components.tiles(
        sheets[-1],
        f"Rows of images of {modality}, one row per direction found in the samples",
        marked(order_along),
        key="tile-along",
        on_change=lambda r, c: select(order_along[r], c),
    )
    st.caption(
        "PC: principal components of z over the sample subjects in all modalities. *To* a modality: the normal of the "
        "boundary that logistic regression fits between modalities. The image's z is moved along one of them; its "
        "coordinate there goes from -3 to 3, and what is perpendicular stays."
    )


def all_sheets() -> bytes:
    return png(stack(sheets, [name for name, _ in titles], theme), about | dict(titles))


downloads = st.container(horizontal=True)
name = f"z of {modality}"
with downloads:
    controls.download("This sheet (PNG)", all_sheets, controls.file_name("traverse", subject, "png", name))
    controls.download(
        "Its arrays (NPZ)",
        lambda: traverse_numbers(moved, s, z_own, about),
        controls.file_name("traverse", subject, "npz", name),
    )


@st.fragment  # a change here does not rerun the rest of the page
def inspect_tile() -> None:
    st.subheader("Inspect a tile")
    left, right = st.columns([2, 3])
    with left:
        d = st.selectbox(
            "Dimension",
            range(len(rows)),
            int(moved.effect.argmax()),
            format_func=lambda d: rows[d].name,  # what links hold; the effect depends on the image
            key="dimension",
            bind="query-params",
            help="Dimension or direction to inspect; at first the dimension with the largest effect",
        )
        title, at = rows[d].name, chosen_value()
        st.markdown(f"**{title}: {effects[d]}**")
        frames = traversals.frames(checkpoint, s, z_own, rows[d], len(VALUES))
        labels = [f"{title} = {value:+.2f}" for value in VALUES]
        components.scrub(
            frames,
            labels,
            at,
            title=f"Image of {modality} for {title} from {-LIMIT:g} to {LIMIT:g}",
            owner=f"{checkpoint.digest} {subject.digest} {modality} {title}",
            key="scrub",
            on_change=choose_value,
        )
        st.caption("Drag over the picture or its slider, or hold an arrow key: the maps follow where you stop.")
        controls.download(
            "Animation (GIF)",
            lambda: traverse_animation(frames, labels, theme, about | {"direction": title}),
            controls.file_name("traverse", subject, "gif", modality, title),
        )
    with right:
        index = checkpoint.config.modalities.index(modality)
        reencoded = decompose(checkpoint.model, frames[at][None], (index,))
        mask = np.array(checkpoint.config.classes)[reencoded.single[0]]
        traversal, row = (moved, d) if d < len(z_own) else (along, d - len(z_own))
        st.plotly_chart(
            traverse_inspection(traversal, row, frames[at], frames[len(frames) // 2], labels[at], mask, dark),
            key="closer",
            config=chart(f"traverse-{title}", about),
            alt="Linked views of one tile; values and the mask of the re-encoded image under the cursor",
        )
    st.plotly_chart(
        effect_figure(traversal, row, title, regions, dark),
        key="effects",
        config=chart(f"traverse-effect-{title}", about),
        alt=f"Mean change of intensity of each tissue, organ or channel from the smallest to the largest {title}",
    )


n_z = len(z_own)


@st.fragment
def set_z() -> None:
    st.subheader("Set z")
    buttons = st.container()
    *sliders, picture = st.columns([1, 1, 3])
    with buttons:
        z = controls.z_sliders(checkpoint, subject, decomposition, i, sliders, effects[:n_z])
    for k, (direction, column) in enumerate(zip(found, st.columns(len(found) or 1), strict=False)):
        with column:
            z = z + direction.vector * st.slider(
                f"+ {direction.name}: {effects[n_z + k]}",
                -LIMIT,
                LIMIT,
                0.0,
                0.05,
                key=f"along-{k}",
                bind="query-params",
                help=f"Added to z along this direction ({direction.about})",
            )
    with picture:
        made = traversals.rendered(checkpoint, s, z)
        tiles = [
            Tile(grey(decomposition.images[i]), "image x"),
            Tile(grey(decomposition.own[i]), "g(s, own z)"),
            Tile(grey(made), "g(s, your z)"),
        ]
        with st.container(key="sheet_yours"):
            controls.image(sheet([tiles], side=260, theme=theme), "The image, its reconstruction, and with your z")


@st.fragment
def show_combinations() -> None:
    st.subheader("Interpolation, and two dimensions at once")
    others = [(j, name) for j, name in enumerate(names) if j != i]
    for j, name in others:
        images = traversals.between(checkpoint, s, z_own, decomposition.z_mean[j], steps)
        with st.container(key=f"sheet_between{j}"):
            controls.image(
                interpolation_sheet(images, modality, name, theme),
                f"The anatomy of {modality} with z interpolated from its own to that of {name}",
            )
    with st.container(horizontal=True):
        order = np.argsort(-moved.effect).tolist()
        down = st.selectbox(
            "Down",
            range(n_z),
            order[0],
            format_func=lambda d: f"z{d + 1}",
            key="down",
            bind="query-params",
            help="The dimension that changes from row to row",
        )
        across = st.selectbox(
            "Across",
            range(n_z),
            order[1],
            format_func=lambda d: f"z{d + 1}",
            key="across-z",
            bind="query-params",
            help="The dimension that changes from column to column",
        )
    if down == across:
        st.info("Choose two different dimensions.")
        return
    st.caption(f"Down, z{down + 1}: {effects[down]}. Across, z{across + 1}: {effects[across]}.")
    images = plane(checkpoint.model, s, z_own, (down, across), moved.values)
    with st.container(key="sheet_plane"):
        controls.image(
            plane_sheet(images, moved.values, (down, across), theme),
            f"Images over z{down + 1} downwards and z{across + 1} across",
        )


inspected, yours = st.container(), st.container()
with yours:  # first, since charts take the browser longest
    set_z()
with inspected:
    inspect_tile()
show_combinations()
shares = [traversals.kept_channels(model, parts, i, traversed) for _, model, parts, traversed in positions]
for (place, *_), (own_share, kept) in zip(positions, shares, strict=True):
    place.markdown(kept_sentence(own_share, kept))
table = effect_rows(moved, rows[:n_z], regions, shares[0][1]) + (
    effect_rows(along, found, regions, None) if along else []
)
with downloads:
    controls.download(
        "Effects (CSV)", lambda: table_csv(table, about), controls.file_name("traverse", subject, "csv", name)
    )
