"""Independence: distance correlation of s and z over its null distribution (Sec. V-H.3)."""

import streamlit as st

from dafnet_core.checkpoints.card import selected_on
from dafnet_core.drawing import DARK
from dafnet_explorer import background_evaluation, catalogue, controls, glossary, provenance, sidebar, state
from dafnet_explorer.figures.charts import chart
from dafnet_explorer.figures.downloads import as_json, table_csv
from dafnet_explorer.figures.independence import (
    COLUMN_LABELS,
    WHY_NULL_IS_NOT_0,
    curve_figure,
    dependence_csv_rows,
    dependence_figure,
    dependence_rows,
    unseen_text,
    with_nulls,
)
from dafnet_explorer.figures.texts import cell

checkpoint = sidebar.current_checkpoint()
dark = sidebar.theme() is DARK
st.title("Independence")
st.markdown(
    "Find out whether **s** and **z** are statistically dependent, and how much of the estimate is bias. "
    "If content and style are disentangled, **s** and **z** carry no information about each other. The paper measures "
    "this by *distance correlation*: 0 for independent factors, 1 if their distances are proportional. Estimated from "
    "few images it is **far from 0 for independent factors too**, so it is shown with its null distribution."
)
sidebar.stop_without_factors(checkpoint)
request = background_evaluation.pick_data(checkpoint, state.POPULATION)
shown = [(sidebar.short_title(checkpoint), checkpoint)]
if other := controls.pick_other(checkpoint, "other", needed=True):
    title = sidebar.short_title(other[1])
    shown.append((title if title != shown[0][0] else other[0], other[1]))

parts = []
for title, model in shown:
    evaluation = background_evaluation.evaluation_of(model, request) if request else None
    result = evaluation.result if evaluation else next(iter(model.metrics.values()), None)
    parts.append((title, model, evaluation, result))

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
        "Grey: null distribution from permuting the subjects of one factor. It removes dependence between subjects; "
        "dependence on modality or slice position alone remains. Line: observed value. Shaded: 95 % jackknife interval "
        "over subjects."
    )
for n, (title, _, evaluation, result) in enumerate(parts):
    if result is None:
        continue
    st.subheader(title, help=glossary.explain(title))
    if evaluation is None:
        st.caption(
            f"{'Until then, from' if request else 'From'} the checkpoint's card: {result.n_subjects} subjects of "
            f"`{result.data}`. {selected_on(result)}"
        )
    d = result.dependence
    if d is None:
        st.info(f"Dependence was not measured: {result.why.get('dependence', 'this card does not have it')}.")
    elif d.within is None:
        st.markdown(
            f"dCor {cell(d.dcor)}, dCor² bias-corrected {cell(d.dcor_squared_unbiased)}, p = {cell(d.p_value)}; "
            f"{d.n or 'n/a'} images of {d.n_subjects or 'n/a'} subjects."
        )
    else:
        controls.table(dependence_rows(d), f"dependence-{n}", COLUMN_LABELS)
    if text := unseen_text(result):
        st.markdown(text)

if any(result and result.dependence for *_, result in parts):
    st.caption(WHY_NULL_IS_NOT_0)
st.subheader("Interpretation")
st.markdown(
    "A small p indicates dependence beyond what the number of subjects explains; a large p is no evidence of "
    "independence. Pooling modalities makes s and z dependent if both differ between modalities, so compare the rows "
    "of single modalities before calling a model entangled. The other way round, a model whose s gives the modality "
    "away may have a large p, because permuted subjects keep their modality. An empty z is independent of everything: "
    "compare with the rows of the image, and with the accuracy on the page Probe."
)
curves = [
    (title, background_evaluation.dependence_by_subjects(model, request, statistics))
    for title, model, statistics in known
]
if curves:
    st.subheader("Effect of the number of subjects")
    st.plotly_chart(
        curve_figure(curves, dark),
        key="curve",
        config=chart_config,
        alt="Both statistics over the number of subjects",
    )
    st.caption(
        "Dotted: subjects permuted. Where solid and dotted lines decrease together, the decrease is bias, not a "
        "property of the model; the paper reports 0.55 and 0.78 without the number of images."
    )
st.subheader("Downloads")
with st.container(horizontal=True):
    for title, model, evaluation, result in parts:
        if evaluation and result.dependence:
            about = background_evaluation.about(model, request, z=result.z)
            controls.download(
                f"{title}: table (CSV)",
                lambda result=result, about=about: table_csv(dependence_csv_rows(result.dependence), about),
                controls.file_name("independence", request.name, "csv", checkpoint=catalogue.name_of(model)),
                key=f"csv-{model.digest}",
            )
            controls.download(
                f"{title}: all numbers and nulls (JSON)",
                lambda evaluation=evaluation, about=about: as_json(with_nulls(evaluation), about),
                controls.file_name("independence", request.name, "json", checkpoint=catalogue.name_of(model)),
                key=f"json-{model.digest}",
            )
