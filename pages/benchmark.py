"""Benchmark: the paper's tables filled with records of experiments, the subjects of a cell, and masks of a slice."""

import streamlit as st
from PIL import Image

from dafnet_core.drawing import DARK, class_colours, png
from dafnet_explorer import benchmark, benchmark_masks, components, controls, provenance, sidebar
from dafnet_explorer.figures import benchmark as figures
from dafnet_explorer.figures.charts import chart
from dafnet_explorer.figures.downloads import table_csv

NOTHING = "nothing"
COMMAND = "python -m experiments table1 --data phantom --protocol smoke"
theme = sidebar.theme()
sidebar.current_selection()  # in the bar, as on all pages; records of experiments do not depend on it

st.title("Benchmark")
st.markdown("Find out how the methods of the paper's tables compare: in numbers, subject by subject, and mask by mask.")
folders = benchmark.folders()
if not folders:
    st.info(
        "This page shows every method of the paper's tables on the same subjects, the paper's numbers beside ours; no "
        f"results are here yet. `{COMMAND}` computes the first ones in a checkout of the repository."
    )
    st.stop()

chosen = st.columns(3)
name = chosen[0].selectbox(
    "Results", list(folders), key="results", bind="query-params", help="Data, and protocol of the trainings"
)
folder = folders[name]
try:
    tables = benchmark.tables_of(folder)
except ValueError as error:
    st.error(f"{error}.")
    st.stop()
if not tables:
    st.info("No cell of the paper's tables has numbers here yet.")
    st.stop()
table = tables[
    chosen[1].selectbox(
        "Table", list(tables), key="table", bind="query-params", help="The paper's tables, and comparisons in its text"
    )
]
metric = chosen[2].selectbox(
    "Metric",
    list(figures.TITLES),
    format_func=figures.metric_title,
    key="metric",
    bind="query-params",
    help="Of masks compared with true ones",
)

with components.room("table", (0, figures.ROW * (len(table.rows) + 1)), "results"):
    st.table(figures.table_rows(table, metric), hide_index=True, border="horizontal")
st.caption(figures.explanation(table, metric))
if second := benchmark.second_grid(table):
    title, (head, *body) = second
    st.markdown(f"**{title}**")
    st.table([dict(zip(head, line, strict=True)) for line in body], hide_index=True, border="horizontal")
about = benchmark.provenance(table, name, metric)
shown_table = f"{name} {st.session_state['table']}"


def file_name(suffix: str, *details: str) -> str:
    """Name of a download of this table."""
    return provenance.file_name("benchmark", "", shown_table, suffix, *details)


st.subheader("Subject by subject")
chosen = st.columns(3)
columns = {column.title: column for column in table.columns}
column = columns[
    chosen[0].selectbox(
        "Column", list(columns), key="column", bind="query-params", help="Modality, and share of its annotated subjects"
    )
]
rows = {row.title: row for row in benchmark.ranked(table, column, metric)}
row = rows[
    chosen[1].selectbox(
        "Method", list(rows), key="row", bind="query-params", help="A row of the table; the best is first"
    )
]
others = [title for title in rows if title != row.title]
others.sort(key=lambda title: (rows[title].method, rows[title].variant) == (row.method, row.variant))
against = chosen[2].selectbox(
    "Compare with",
    [*others, NOTHING],
    key="versus",
    bind="query-params",
    help="Another row, on the same subjects and slices",
)
other = rows.get(against)
st.markdown(figures.sentence(table, metric, column, row, other))
if table.numbers(row, column, metric):
    st.plotly_chart(
        figures.strip_figure(table, metric, column, row, other, theme is DARK),
        key="subjects",
        config=chart("benchmark", {"checkpoint_digest": table.cells[row, column][0].digest}),
        alt="A point for every subject, and lines between the same subjects of both methods",
    )
    st.caption(figures.LINES)


def show_masks() -> None:
    """One slice with the mask of every method of the column."""
    st.subheader("Mask by mask")
    files = benchmark_masks.with_masks(folder, table, column)
    try:
        ordered = benchmark_masks.by_disagreement(files, column.target, row, other)
        if not ordered:
            st.info(f"No masks of {row.title} in this column are here. Its table writes them into `runs/{name}`.")
            return
        places = figures.titled(ordered)
        shown = st.selectbox(
            "Slice",
            list(places),
            key="slice-of-masks",
            bind="query-params",
            help="First those on which the two methods differ most: 1 - Dice of one mask with the other",
        )
        place = places[shown]
        masks = benchmark_masks.masks_of(files, column.target, place)
    except ValueError as error:
        st.error(f"{error}.")
        return
    scene = benchmark_masks.scene_of(table.cells[row, column], column.target, place, masks[row].shape)
    if isinstance(scene, str):
        st.info(scene)
        scene = None
    classes = scene.classes if scene else figures.numbered(masks)
    colours = class_colours(len(classes))

    def sheet() -> Image.Image:
        return figures.masks_sheet(masks, scene, colours, theme)

    with_errors = scene is not None and scene.truth is not None
    st.html(figures.legend(dict(zip(classes[1:], colours[1:], strict=True)), with_errors))
    with st.container(key="sheet_benchmark"):
        controls.image(sheet(), "Masks of every method over the image, and where they differ from the truth")
    controls.download(
        "This sheet (PNG)", lambda: png(sheet(), about | {"slice": shown}), file_name("png", "masks", shown)
    )


show_masks()
st.subheader("Downloads")
with st.container(horizontal=True):
    controls.download(
        "This table (CSV)", lambda: table_csv(figures.csv_rows(table, metric), about), file_name("csv", metric)
    )
    controls.download("This table (LaTeX)", lambda: figures.latex(table, metric, about), file_name("tex", metric))
    controls.download(
        "Every subject (CSV)", lambda: table_csv(figures.subject_rows(table), about), file_name("csv", "subjects")
    )
st.caption(
    "Results of your own: run `python -m experiments TABLE --results FOLDER`, and start the app with "
    "`streamlit run app.py -- --results FOLDER`."
)
