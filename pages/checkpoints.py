"""Checkpoints: what the chosen one is, how it was trained, and a place to bring your own."""

import streamlit as st

from dafnet_core.checkpoints.card import card
from dafnet_core.checkpoints.file import CheckpointError
from dafnet_core.config import plain
from dafnet_explorer import controls, evaluation_figures, figures, session

checkpoint = session.current_checkpoint()
name = st.session_state["checkpoint"]

st.title("Checkpoints")
config = checkpoint.config
columns = st.columns(4)
columns[0].metric("Decoder", figures.DECODERS[config.decoder])
columns[1].metric("Parameters", f"{sum(p.numel() for p in checkpoint.model.parameters()) / 1e6:.2f} M")
columns[2].metric("Anatomy channels", config.channels)
columns[3].metric("z dimensions", config.z_dim)
st.markdown(
    f"**{name}** was trained for {' and '.join(config.modalities)}, to find {', '.join(config.classes[1:])}, on "
    f"{checkpoint.training['data']}. Licence of these data: {checkpoint.training['data_licence']}."
)
st.caption(f"Digest (blake2b of the file): `{checkpoint.digest}`")

shown, parts, configuration, curves, own = st.tabs(
    ["Card", "Parameters", "Configuration", "Training", "Bring your own"]
)
with shown:
    text = card(checkpoint, f"{name}.safetensors")
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
    st.json({"model": config.to_dict(), "training": checkpoint.training["configuration"]}, expanded=1)
with curves:
    logs = session.run_logs(name)
    if logs:
        dark = session.theme() is session.DARK
        for title, rows in logs.items():
            st.plotly_chart(
                evaluation_figures.log_figure(rows, title, dark), key=f"log-{title}", alt=f"{title} over steps"
            )
    else:
        st.info(
            "Training curves are shown where the run is at hand: train with `--out runs/NAME`, and choose runs/NAME at "
            "the left."
        )
with own:
    st.markdown(
        "A `.safetensors` file that `train.py --export` wrote. It stays in this session's memory, nothing in it is "
        "executed, and it then stands in the list at the left."
    )
    file = st.file_uploader("Checkpoint", type="safetensors", key="bring", help="At most 64 MB")
    if file is not None and st.session_state.get("brought") != file.file_id:
        st.session_state["brought"] = file.file_id
        try:
            with st.spinner("Reading"):
                session.take_checkpoint(plain(file.name, 80), file.getvalue())
        except CheckpointError as error:
            st.session_state["refused"] = str(error)
        else:
            st.session_state.pop("refused", None)
            st.rerun()
    if refused := st.session_state.get("refused"):
        st.error(refused)
    for mine in st.session_state.get("own-checkpoints", {}):
        st.success(f"{mine}: choose it at the left.")
