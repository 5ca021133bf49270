"""Independence: distance correlation of s and z, with what it looks like without any dependence (Sec. V-H.3)."""

import streamlit as st

from dafnet_explorer import background_evaluation, controls, evaluation_figures, figures, session

checkpoint = session.current_checkpoint()
dark = session.theme() is session.DARK
st.title("Independence")
st.markdown(
    "If content and style are apart, **s** and **z** should tell nothing about each other. The paper measures this by "
    "*distance correlation*: 0 for independent, 1 for determined by each other. But estimated from few images it is "
    "**far from 0 for independent factors too**. So here it never stands alone."
)
asked = background_evaluation.pick_data(checkpoint, "population")
shown = [(figures.DECODERS[checkpoint.config.decoder], checkpoint)]
if asked and (other := session.pick_other(checkpoint, "other", needed=True)):
    title = figures.DECODERS[other[1].config.decoder]
    shown.append((title if title != shown[0][0] else other[0], other[1]))

parts = []
for title, model in shown:
    judged = background_evaluation.judged(model, asked) if asked else None
    found = judged.found if judged else next(iter(model.metrics.values()), None)
    parts.append((title, model, judged, found))

chart = evaluation_figures.chart("dependence", session.about(checkpoint, ""))
done = [
    (title, judged.evidence.dependence["s_z"])
    for title, _, judged, _ in parts
    if judged and "s_z" in judged.evidence.dependence
]
if done:
    st.plotly_chart(
        evaluation_figures.dependence_figure(done, dark),
        key="nulls",
        config=chart,
        alt="Both statistics as lines over their null distributions",
    )
    st.caption(
        "Grey: the same statistic after one factor's subjects were permuted, which is what independence between "
        "subjects looks like in these very data: what depends on the modality or the place of a slice alone is left in "
        "it. Line: as they are. Shaded: 95 % interval, leaving one subject out at a time."
    )
for title, _, judged, found in parts:
    if found is None:
        continue
    st.subheader(title)
    if judged is None:
        st.caption(f"Until then, from the checkpoint's card: {found['n_subjects']} subjects of `{found['data']}`.")
    if "within" not in found["dependence"]:
        d = found["dependence"]
        st.markdown(
            f"dCor {d['dcor']:.3f}, dCor² bias-corrected {d['dcor_squared_unbiased']:.3f}, p = {d['p_value']:.3f}; "
            f"{d['n']} images of {d['n_subjects']} subjects."
        )
        continue
    st.dataframe(evaluation_figures.dependence_rows(found), hide_index=True)

st.subheader("What this does and does not mean")
st.markdown(
    "A small p says that s and z depend on each other beyond what their subjects' number explains; a large one says "
    "that these data do not show it, not that there is none. Mixing modalities makes s and z dependent whenever both "
    "differ between modalities, so look at the rows of one modality alone before calling a model entangled. "
    "An empty z is perfectly independent of everything: read the rows of the image beside it, and its accuracy on the "
    "page Probe."
)
curves = [
    (title, background_evaluation.curve(model, asked, judged.evidence))
    for title, model, judged, _ in parts
    if judged and "s_z" in judged.evidence.dependence
]
if curves:
    st.subheader("The same images, fewer of them")
    st.plotly_chart(
        evaluation_figures.curve_figure(curves, dark),
        key="curve",
        config=chart,
        alt="Both statistics over the number of subjects",
    )
    st.caption(
        "Dotted: subjects permuted. Where solid and dotted lines fall together, the fall is bias and no "
        "property of the model; the paper's 0.55 and 0.78 come without their number of images."
    )
st.subheader("Take it with you")
with st.container(horizontal=True):
    for title, model, judged, found in parts:
        if judged:
            about = session.about(model, asked.name, z=found["z"])
            controls.download(
                f"{title}: table (CSV)",
                lambda found=found, about=about: evaluation_figures.table_csv(
                    evaluation_figures.dependence_rows(found), about
                ),
                "dafnet-dependence.csv",
                key=f"csv-{model.digest}",
            )
            controls.download(
                f"{title}: all numbers and nulls (JSON)",
                lambda judged=judged, about=about: evaluation_figures.as_json(
                    evaluation_figures.with_nulls(judged), about
                ),
                "dafnet-numbers.json",
                key=f"json-{model.digest}",
            )
