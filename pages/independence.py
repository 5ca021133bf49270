"""Independence: distance correlation of s and z, with what it looks like without any dependence (Sec. V-H.3)."""

import streamlit as st

from dafnet_core.drawing import DARK
from dafnet_explorer import background_evaluation, controls, provenance, sidebar, state
from dafnet_explorer.figures.charts import chart
from dafnet_explorer.figures.downloads import as_json, table_csv
from dafnet_explorer.figures.independence import curve_figure, dependence_figure, dependence_rows, with_nulls
from dafnet_explorer.figures.texts import DECODERS, cell

checkpoint = sidebar.current_checkpoint()
dark = sidebar.theme() is DARK
st.title("Independence")
st.markdown(
    "Find out whether **s** and **z** are statistically dependent, and how much of what is measured is estimation "
    "bias. "
    "If content and style are apart, **s** and **z** should tell nothing about each other. The paper measures this by "
    "*distance correlation*: 0 for independent, 1 for determined by each other. But estimated from few images it is "
    "**far from 0 for independent factors too**. So here it never stands alone."
)
sidebar.stop_without_factors(checkpoint)
request = background_evaluation.pick_data(checkpoint, state.POPULATION)
shown = [(DECODERS[checkpoint.config.decoder], checkpoint)]
if request and (other := controls.pick_other(checkpoint, "other", needed=True)):
    title = DECODERS[other[1].config.decoder]
    shown.append((title if title != shown[0][0] else other[0], other[1]))

parts = []
for title, model in shown:
    evaluation = background_evaluation.evaluated(model, request) if request else None
    found = evaluation.result if evaluation else next(iter(model.metrics.values()), None)
    parts.append((title, model, evaluation, found))

chart_config = chart("dependence", provenance.about(checkpoint, ""))
known = [
    (title, model, evaluation.statistics)
    for title, model, evaluation, _ in parts
    if evaluation and evaluation.statistics and "s_z" in evaluation.statistics.dependence
]
if known:
    st.plotly_chart(
        dependence_figure([(title, statistics.dependence["s_z"]) for title, _, statistics in known], dark),
        key="nulls",
        config=chart_config,
        alt="Both statistics as lines over their null distributions",
    )
    st.caption(
        "Grey: the same statistic after one factor's subjects were permuted, which is what independence between "
        "subjects looks like in these very data: what depends on the modality or the place of a slice alone is left in "
        "it. Line: as they are. Shaded: 95 % interval, leaving one subject out at a time."
    )
for title, _, evaluation, found in parts:
    if found is None:
        continue
    st.subheader(title)
    if evaluation is None:
        st.caption(f"Until then, from the checkpoint's card: {found.n_subjects} subjects of `{found.data}`.")
    d = found.dependence
    if d is None:
        st.info(f"Dependence was not measured: {found.why.get('dependence', 'this card does not have it')}.")
    elif d.within is None:
        st.markdown(
            f"dCor {cell(d.dcor)}, dCor² bias-corrected {cell(d.dcor_squared_unbiased)}, p = {cell(d.p_value)}; "
            f"{d.n or 'n/a'} images of {d.n_subjects or 'n/a'} subjects."
        )
    else:
        st.dataframe(dependence_rows(d), hide_index=True)

st.subheader("What this does and does not mean")
st.markdown(
    "A small p says that s and z depend on each other beyond what their subjects' number explains; a large one says "
    "that these data do not show it, not that there is none. Mixing modalities makes s and z dependent whenever both "
    "differ between modalities, so look at the rows of one modality alone before calling a model entangled. "
    "An empty z is perfectly independent of everything: read the rows of the image beside it, and its accuracy on the "
    "page Probe."
)
curves = [(title, background_evaluation.curve(model, request, statistics)) for title, model, statistics in known]
if curves:
    st.subheader("The same images, fewer of them")
    st.plotly_chart(
        curve_figure(curves, dark),
        key="curve",
        config=chart_config,
        alt="Both statistics over the number of subjects",
    )
    st.caption(
        "Dotted: subjects permuted. Where solid and dotted lines fall together, the fall is bias and no "
        "property of the model; the paper's 0.55 and 0.78 come without their number of images."
    )
st.subheader("Take it with you")
with st.container(horizontal=True):
    for title, model, evaluation, found in parts:
        if evaluation and found.dependence:
            about = provenance.about(model, request.name, z=found.z)
            controls.download(
                f"{title}: table (CSV)",
                lambda found=found, about=about: table_csv(dependence_rows(found.dependence), about),
                "dafnet-dependence.csv",
                key=f"csv-{model.digest}",
            )
            controls.download(
                f"{title}: all numbers and nulls (JSON)",
                lambda evaluation=evaluation, about=about: as_json(with_nulls(evaluation), about),
                "dafnet-numbers.json",
                key=f"json-{model.digest}",
            )
