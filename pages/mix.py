"""Mix: any anatomy with any modality factor, and whether both are still there in the image that they make."""

import streamlit as st

from explorer import evidence, figures, session
from explorer.sheets import png

MOST = 6  # rows and columns
RANDOM = {f"random z {n}": -n for n in (1, 2, 3)}

checkpoint = session.current_checkpoint()
theme = session.theme()

st.title("Mix")
st.markdown(
    "Rows are anatomies, columns are modality factors, and every cell is **g(s, z)**. Each image is encoded again and "
    "judged twice: *kept* is the Dice of its mask against that of the row's anatomy, and the share beside it is the "
    "probe's probability that it has reached the column's modality. If content and style are apart, both are high in "
    "every cell."
)
asked = session.pick_data(checkpoint)
judged = session.judged(checkpoint, asked) if asked else None
if judged is None:
    st.stop()
if judged.evidence.probe is None:
    st.info("These data do not allow a probe of the modality, so there is no verdict to give.")
    st.stop()
e = judged.evidence.encodings
names = figures.row_names(e)
middle = [names.index(n) for n in names if f"slice {e.positions.max() // 2 + 1}," in n]
left, right = st.columns(2)
with left:
    rows = st.multiselect(
        "Anatomies of", names, [names[n] for n in middle[:4]], max_selections=MOST, key="mix-rows",
    )  # fmt: skip
with right:
    columns = st.multiselect(
        "Modality factors of", [*names, *RANDOM], [*(names[n] for n in middle[:4]), "random z 1"], max_selections=MOST,
        key="mix-columns", help="A random z is drawn from N(0, I); it is judged as the modality that the probe names",
    )  # fmt: skip
with st.container(horizontal=True, vertical_alignment="bottom"):
    seed = st.number_input("Seed of random z", 0, 9999, 0, key="seed", bind="query-params")
    other = session.pick_other(checkpoint, "mixed-with", needed=False)
if not rows or not columns:
    st.info("Choose at least one anatomy and one modality factor.")
    st.stop()

chosen = [names.index(n) for n in rows]
taken = [RANDOM[n] if n in RANDOM else names.index(n) for n in columns]
shown = [("chosen at the left", checkpoint, judged)]
if other and (theirs := session.judged(other[1], asked)):
    if theirs.evidence.probe is None:
        st.info(f"{other[0]}: these data do not allow a probe of the modality.")
    else:
        shown.append((*other, theirs))
decoders = {"film": "FiLM", "spade": "SPADE"}
for n, (title, model, found) in enumerate(shown):
    mixed = session.mixture(model, asked, found.evidence, chosen, taken, seed)
    parts = found.evidence.encodings
    styles = [parts.images[k] if k >= 0 else None for k in taken]
    reached = [parts.names[m] for m in mixed.modalities]
    picture = figures.mixture_sheet(
        mixed.made, parts.anatomies[chosen], (rows, columns), styles, mixed.reached, reached, theme
    )
    if len(shown) > 1:
        st.subheader(f"{decoders[model.config.decoder]} ({title})")
    with st.container(key=f"sheet_mix{n}"):
        st.image(png(picture), alt="Images of every chosen anatomy with every chosen modality factor, with verdicts")
    kept, arrived, stay = mixed.means
    st.caption(f"Mean over cells: kept {kept:.3f}, modality reached {arrived:.3f}, channels that stay {stay:.3f}.")
    about = session.about(model, asked.name, seed=seed)
    with st.container(horizontal=True):
        st.download_button(
            "This sheet (PNG)", lambda picture=picture, about=about: png(picture, about), "dafnet-mix.png", "image/png",
            key=f"png-{n}", on_click="ignore",
        )  # fmt: skip
        table = evidence.mixture_rows(mixed, rows, columns, reached)
        st.download_button(
            "Its verdicts (CSV)", lambda table=table, about=about: evidence.table_csv(table, about), "dafnet-mix.csv",
            "text/csv", key=f"verdicts-{n}", on_click="ignore",
        )  # fmt: skip
