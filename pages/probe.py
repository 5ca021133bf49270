"""Probe: what a linear classifier predicts from the modality factor and from the anatomy (Sec. V-H.1)."""

import streamlit as st

from dafnet_core.checkpoints.card import selected_on
from dafnet_core.drawing import DARK
from dafnet_explorer import (
    background_evaluation,
    catalogue,
    components,
    controls,
    glossary,
    provenance,
    sidebar,
    slice_browser,
    state,
)
from dafnet_explorer.figures.charts import chart
from dafnet_explorer.figures.downloads import as_json, table_csv
from dafnet_explorer.figures.probe import (
    cnn_text,
    colourings,
    confusion_rows,
    describe,
    leakage_rows,
    positions_of,
    probe_figure,
    reading_rows,
    scatter,
    slice_sheet,
    spread,
    stability_rows,
    thumbnail_sheet,
    z_axes,
    z_csv,
)
from dafnet_explorer.figures.texts import cell
from dafnet_explorer.figures.truth import truth_rows

THUMBNAILS = 24  # images beside the scatter plot
MARKED = "probed-row"  # row of the encodings that is marked in the plot and among the thumbnails
EARLIER = "this card is of an earlier version"
checkpoint = sidebar.current_checkpoint()
dark = sidebar.theme() is DARK
names = checkpoint.config.modalities

st.title("Probe")
glossary.markdown(
    "Find out whether a linear classifier can predict the modality from **z**, and whether **s** reveals it where "
    "it should not. "
    f"If **z** encodes appearance, logistic regression predicts the *modality* ({' or '.join(names)}) from it. If "
    "**s** encodes structure only, the same classifier is hardly more accurate on s than on true masks. "
    "Cross-validation is by subject: no classifier is tested on subjects that it was trained on."
)
if catalogue.has_content(checkpoint):
    st.info(
        f"{checkpoint.method.title} has a style code in place of z, from an encoder of each modality's own, and a "
        "continuous content code, whose leakage is not measured. Encoders that differ can be told apart even where "
        "styles cannot."
    )
else:
    sidebar.stop_without_factors(checkpoint)
request = background_evaluation.pick_data(checkpoint, state.POPULATION)
evaluation = background_evaluation.evaluation_of(checkpoint, request) if request else None
result = evaluation.result if evaluation else next(iter(checkpoint.metrics.values()), None)
if result is None:
    if request is None:
        st.info("No results are stored in this checkpoint either.")
    st.stop()
z = result.z or "posterior mean"
about = (
    background_evaluation.about(checkpoint, request, z=z)
    if evaluation
    else provenance.about(checkpoint, result.data, z=z)
)
if evaluation is None:
    st.caption(
        f"{'Until then, from' if request else 'From'} the checkpoint's card: {result.n_subjects} subjects of "
        f"`{result.data}`. {selected_on(result)}"
    )

st.subheader("The modality in z")
probe = result.probe
if probe is None or probe.accuracy is None:
    why = result.why.get("probe") or result.why.get("probe.accuracy", "too few subjects")
    st.info(f"There is no probe of these data: {why}.")
else:
    low, high = probe.ci95
    swaps = result.swap or {}
    with st.container(key="facts"):
        columns = st.columns(2 + len(swaps))
    columns[0].metric("Accuracy, all of z", f"{probe.accuracy:.3f}", help=f"95 % interval {low:.3f} to {high:.3f}")
    columns[1].metric("Best dimension alone", f"{max(probe.per_dimension):.3f}")
    for column, (pair, swap) in zip(columns[2:], swaps.items(), strict=True):
        a, b = pair.split("_to_")
        column.metric(
            f"{a} → {b}",
            cell(swap.accuracy),
            help=f"Share of images g(s of {a}, z of {b}) whose re-encoded z is classified as {b}",
        )
    st.plotly_chart(
        probe_figure(probe, dark),
        key="bars",
        config=chart("probe", about),
        alt="Accuracy from all of z and from each dimension alone",
    )
    st.caption(
        f"{result.n_slices * len(names)} images of {result.n_subjects} subjects. Dashed: chance, "
        f"{probe.chance:.2f}. Whiskers: 95 % intervals with each subject as one trial (conservative)."
    )

st.subheader("The modality in s: leakage")
st.markdown(
    "Position and size of the organs may differ between modalities. The same probe is therefore applied to the "
    "**true masks**, and leakage is the excess accuracy of s over them."
)
if result.leakage is not None:
    controls.table(leakage_rows(result.leakage), "leakage")
    if (cnn := result.leakage.cnn) and cnn.excess_nats is not None:
        glossary.markdown(cnn_text(cnn, len(names)))
    else:
        st.caption(f"No CNN read s: {result.why.get('leakage.cnn', EARLIER)}.")
else:
    st.caption(f"Leakage was not measured: {result.why.get('leakage', EARLIER)}.")

st.subheader("Other intensities, and flipped pixels")
st.markdown(
    "Each image is encoded again with another contrast curve, bias field and noise. A clean **s** does not follow "
    "intensities: nearly all pixels keep their channel (1). Then 1 % or 5 % of the pixels of **s** are flipped to a "
    "random channel, and the image is decoded: how much it changes on average, of intensities in [-1, 1]. It says how "
    "much single pixels matter to the decoder, not whether they are a code: a leaky model may smooth over its dots."
)
if stability := stability_rows(result):
    controls.table(stability, "stability")
else:
    st.caption(f"Neither was measured: {result.why.get('invariance', EARLIER)}.")
if evaluation is None or evaluation.statistics is None:
    st.stop()

e = evaluation.statistics.encodings
if probe and probe.confusion:
    with st.expander("Confusion matrix: numbers of images"):
        st.dataframe(confusion_rows(probe, names), hide_index=True)

st.subheader("Every image's z")
axes = z_axes(e)
with st.container(horizontal=True):
    across = st.selectbox("Across", axes, key="across", bind="query-params", help="What the horizontal axis shows")
    up = st.selectbox(
        "Up",
        axes[1:],
        1,
        key="up",
        disabled=across == axes[0],
        bind="query-params",
        help="What the vertical axis shows",
    )
    colour = st.selectbox(
        "Colour",
        colourings(e),
        key="colour",
        bind="query-params",
        help="What the points' colours show",
    )
placed = spread(positions_of(e, across, up)[0], THUMBNAILS)
marked = st.session_state.get(MARKED)
marked = marked if marked in range(len(e.z)) else None


def mark_point() -> None:
    """The slice of the point that was clicked; a click beside all points changes nothing."""
    points = st.session_state["scatter"].selection.points
    if points and "customdata" in points[0]:  # the ring has none
        st.session_state[MARKED] = int(points[0]["customdata"])


def mark_thumbnail(row: int, column: int) -> None:
    if 12 * row + column < len(placed):
        st.session_state[MARKED] = placed[12 * row + column]


pictured = st.toggle(
    "Thumbnails in the plot",
    key="pictured",
    bind="query-params",
    help="Images of points that lie far from each other, under their points",
)
st.plotly_chart(
    scatter(e, across, up, colour, dark, pictures=placed if pictured else (), marked=marked),
    key="scatter",
    on_select=mark_point,
    selection_mode="points",
    config=chart("z", about),
    alt="Scatter plot of z, one point per image; select a point to see its slice",
)
components.tiles(
    thumbnail_sheet(e, placed, sidebar.theme()),
    "Images of points that lie far from each other; click one to find its point",
    divmod(placed.index(marked), 12) if marked in placed else None,
    key="thumbnails",
    on_change=mark_thumbnail,
)
if marked is not None:
    st.markdown(f"**{describe(e, marked)}**")
    with st.container(key="sheet_probe"):
        controls.image(
            slice_sheet(e, marked, checkpoint.colours, sidebar.theme()),
            "The selected slice in all modalities and its anatomies",
        )
else:
    st.caption("Select a point, or a thumbnail (subject, slice), to see its slice; the other is marked.")

slice_browser.section(checkpoint, evaluation, request, sidebar.theme())

readings = background_evaluation.readings(checkpoint, request, evaluation.statistics)
if readings:
    st.subheader("Other properties in z and s")
    st.markdown(
        "Other properties of these subjects are known, so they can be predicted too. Contrast and noise belong to z, "
        "sizes to s. Held-out accuracy or R² (0: no better than the mean; may be negative), with 95 % intervals."
    )
    controls.table(reading_rows(readings), "readings")

st.subheader("Downloads")
with st.container(horizontal=True):
    controls.download(
        "All numbers (JSON)",
        lambda: as_json(result.to_json(), about),
        controls.file_name("probe", request.name, "json", "numbers"),
    )
    controls.download(
        "z of every image (CSV)", lambda: z_csv(e, about), controls.file_name("probe", request.name, "csv", "z")
    )
    if readings:
        controls.download(
            "Properties (CSV)",
            lambda: table_csv(truth_rows(readings), about),
            controls.file_name("probe", request.name, "csv", "properties"),
        )
st.caption(f"Command: `python -m dafnet_core.evaluate CHECKPOINT {request.command}`")
