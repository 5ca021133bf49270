"""Probe: what a linear classifier reads from the modality factor and from the anatomy (Sec. V-H.1)."""

import streamlit as st

from dafnet_core.drawing import DARK
from dafnet_explorer import background_evaluation, controls, provenance, sidebar, state
from dafnet_explorer.figures.charts import chart
from dafnet_explorer.figures.downloads import as_json, table_csv
from dafnet_explorer.figures.probe import (
    colourings,
    confusion_rows,
    leakage_rows,
    probe_figure,
    reading_rows,
    scatter,
    slice_sheet,
    z_axes,
    z_csv,
)
from dafnet_explorer.figures.texts import cell

checkpoint = sidebar.current_checkpoint()
dark = sidebar.theme() is DARK
names = checkpoint.config.modalities

st.title("Probe")
st.markdown(
    "Find out whether a linear classifier can predict the modality from **z**, and whether **s** reveals it where "
    "it should not. "
    "If **z** holds how an image looks, a logistic regression should read the *modality* from it. If **s** holds only "
    "what is shown, the same regression should read from s no more than from true masks. Subjects are never split: "
    "each is judged by a classifier that has not seen any of its slices."
)
sidebar.stop_without_factors(checkpoint)
request = background_evaluation.pick_data(checkpoint, state.POPULATION)
evaluation = background_evaluation.evaluated(checkpoint, request) if request else None
found = evaluation.result if evaluation else next(iter(checkpoint.metrics.values()), None)
if found is None:
    st.stop()
about = provenance.about(checkpoint, request.name if evaluation else found.data, z=found.z or "posterior mean")
if evaluation is None:
    st.caption(f"Until then, from the checkpoint's card: {found.n_subjects} subjects of `{found.data}`.")

st.subheader("The modality in z")
probe = found.probe
if probe is None or probe.accuracy is None:
    why = found.why.get("probe") or found.why.get("probe.accuracy", "too few subjects")
    st.info(f"There is no probe of these data: {why}.")
else:
    low, high = probe.ci95
    swaps = found.swap or {}
    columns = st.columns(2 + len(swaps))
    columns[0].metric("Accuracy, all of z", f"{probe.accuracy:.3f}", help=f"95 % interval {low:.3f} to {high:.3f}")
    columns[1].metric("Best dimension alone", f"{max(probe.per_dimension):.3f}")
    for column, (pair, swap) in zip(columns[2:], swaps.items(), strict=True):
        a, b = pair.split("_to_")
        column.metric(
            f"{a} → {b}",
            cell(swap.accuracy),
            help=f"Share of images g(s of {a}, z of {b}) whose z, encoded again, is taken for {b}",
        )
    st.plotly_chart(
        probe_figure(probe, dark),
        key="bars",
        config=chart("probe", about),
        alt="Accuracy from all of z and from each dimension alone",
    )
    st.caption(
        f"{found.n_slices * len(names)} images of {found.n_subjects} subjects. Dashed: chance, "
        f"{probe.chance:.2f}. Whiskers: 95 % intervals that take each subject for one trial, so they are wide "
        "rather than too narrow."
    )

st.subheader("The modality in s: leakage")
st.markdown(
    "Where organs lie and how much of them is seen may tell modalities apart by itself. So the same probe also sees "
    "the **true masks**, and leakage is what s tells beyond them."
)
if found.leakage is not None:
    st.dataframe(leakage_rows(found.leakage), hide_index=True)
else:
    st.caption(f"Leakage was not measured: {found.why.get('leakage', 'this card is of an earlier version')}.")
if evaluation is None or evaluation.statistics is None:
    st.stop()

e = evaluation.statistics.encodings
if probe and probe.confusion:
    with st.expander("Confusion matrix"):
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
event = st.plotly_chart(
    scatter(e, across, up, colour, dark),
    key="scatter",
    on_select="rerun",
    selection_mode="points",
    config=chart("z", about),
    alt="A point an image, placed by its z; choose one to see its slice",
)
chosen = event.selection.points if event else []
if chosen:
    with st.container(key="sheet_probe"):
        controls.image(
            slice_sheet(e, int(chosen[0]["customdata"]), checkpoint.colours, sidebar.theme()),
            "The chosen slice in all modalities and its anatomies",
        )
else:
    st.caption("Choose a point to see its slice.")

readings = background_evaluation.readings(checkpoint, request, evaluation.statistics)
if readings:
    st.subheader("What else is in them?")
    st.markdown(
        "The phantom's truth is known, so the same question can be asked of everything in it. Contrast and noise "
        "belong to z, the heart's size to s. Held-out accuracy or R² (0 says nothing, below 0 is worse than the "
        "mean), with 95 % intervals."
    )
    st.dataframe(reading_rows(readings), hide_index=True)

st.subheader("Take it with you")
with st.container(horizontal=True):
    controls.download("All numbers (JSON)", lambda: as_json(found.to_json(), about), "dafnet-numbers.json")
    controls.download("z of every image (CSV)", lambda: z_csv(e, about), "dafnet-z.csv")
    if readings:
        controls.download(
            "What is known (CSV)",
            lambda: table_csv(reading_rows(readings), about),
            "dafnet-known.csv",
        )
st.caption(f"The same numbers: `python -m dafnet_core.evaluate CHECKPOINT {request.command}`")
