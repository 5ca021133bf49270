"""Checkpoints: the selected one, its training, and upload of checkpoints."""

import streamlit as st

from dafnet_core.checkpoints.card import card
from dafnet_core.checkpoints.file import CheckpointError
from dafnet_core.config import sanitize
from dafnet_core.drawing import DARK
from dafnet_explorer import catalogue, controls, glossary, sidebar, state
from dafnet_explorer.figures.checkpoints import log_figure
from dafnet_explorer.figures.texts import COUNTER_EXAMPLE, DECODERS

checkpoint = sidebar.current_checkpoint()
name = st.session_state[state.CHECKPOINT]

st.title("Checkpoints")
st.markdown(
    "Find out how the selected checkpoint was trained, how large it is and how well it performs, or upload your own."
)
config = checkpoint.config
parameters = f"{sum(p.numel() for p in checkpoint.model.parameters()) / 1e6:.2f} M"
if catalogue.has_factors(checkpoint):
    facts = {
        **({} if checkpoint.method_name == "dafnet" else {"Method": checkpoint.method.title}),
        "Decoder": DECODERS[config.decoder],
        "Parameters": parameters,
        "Anatomy channels": config.channels,
        "z dimensions": config.z_dim,
    }
else:
    facts = {"Method": checkpoint.method.title, "Parameters": parameters}
with st.container(key="facts"):
    columns = st.columns(len(facts))
for column, (label, value) in zip(columns, facts.items(), strict=True):
    column.metric(label, value, help=glossary.explain(str(value)))
glossary.markdown(
    f"**{name}** was trained for {' and '.join(config.modalities)}, to segment {', '.join(config.classes[1:])}, on "
    f"{checkpoint.training.data}. Licence of these data: {checkpoint.training.data_licence}."
)
if name == catalogue.COUNTER_EXAMPLE:
    st.info(f"**{name} is the counter-example.** {COUNTER_EXAMPLE}")
    st.page_link("pages/tour.py", label="How a model cheats →", query_params={"station": "11"})
st.caption(f"Digest (blake2b of the file): `{checkpoint.digest}`")

shown, parts, configuration, curves, own = st.tabs(
    ["Card", "Parameters", "Configuration", "Training", "Upload a checkpoint"]
)
with shown:
    text = card(checkpoint, f"{name}.safetensors")
    if known := glossary.terms(text):
        glossary.caption(f"Terms of the card: {', '.join(known)}.")
    with st.container(key="card"):
        st.markdown(text)
    controls.download("This card (Markdown)", text, f"{name.replace('/', '-')}.md")
with parts:
    st.dataframe(
        [
            {"module": module, "parameters": sum(p.numel() for p in part.parameters())}
            for module, part in checkpoint.model.named_children()
        ],
        hide_index=True,
    )
with configuration:
    st.json({"model": config.to_dict(), "training": checkpoint.training.configuration}, expanded=1)
with curves:
    logs = catalogue.run_logs(name)
    if logs:
        dark = sidebar.theme() is DARK
        for title, rows in logs.items():
            st.plotly_chart(log_figure(rows, title, dark), key=f"log-{title}", alt=f"{title} over steps")
    else:
        st.info(
            "Training curves need the run's folder: train with `--out runs/NAME`, and choose runs/NAME in the sidebar."
        )
with own:
    st.markdown(
        "A `.safetensors` file written by `train.py --export`, or best.safetensors of a run. It is selected in the "
        "sidebar at once, stays in this session's memory, and nothing in it is executed."
    )

    def take() -> None:
        """Add the uploaded file to the catalogue and select it, or keep why not."""
        file = st.session_state["bring"]
        st.session_state.pop("refused", None)
        if file is None:
            return
        try:
            added = catalogue.add_uploaded_checkpoint(sanitize(file.name, 80), file.getvalue())
        except CheckpointError as error:
            st.session_state["refused"] = str(error)
        else:
            st.session_state[state.CHECKPOINT] = added

    st.file_uploader("Checkpoint", key="bring", on_change=take, help="A .safetensors file of at most 128 MB")
    if refused := st.session_state.get("refused"):
        st.error(refused)
    for mine in st.session_state.get(state.OWN_CHECKPOINTS, {}):
        st.success(f"{mine} is selected." if mine == name else f"{mine}: select it in the sidebar.")
