"""The page Benchmark without a browser: tables of records, their text, comparisons, files of masks."""

import csv
import io

import numpy as np
import pytest

from dafnet_core.drawing import LIGHT
from dafnet_explorer import benchmark, benchmark_masks
from dafnet_explorer.benchmark import Column, tables
from dafnet_explorer.benchmark_masks import Place, Scene
from dafnet_explorer.figures import benchmark as figures
from dafnet_explorer.figures.downloads import table_csv
from experiments import table1
from experiments.__main__ import TABLES
from tests.helpers.records import record, write_masks

ALL, NONE = Column("LGE", 1.0), Column("LGE", 0.0)
ROWS = {row.title: row for row in table1.ROWS}
UNET, SDNET, DAFNET = ROWS["UNet-multi"], ROWS["SDNet-multi"], ROWS["DAFNet, both inputs"]
SIX = [0.7, 0.72, 0.74, 0.76, 0.78, 0.8]


def raised(by, values=SIX):
    return [value + by for value in values]


def table_of(*records, name="Table I"):
    return tables(records)[name]


def text_of(table, row, column=ALL, metric="dice"):
    rows = {shown["method"]: shown for shown in figures.table_rows(table, metric)}
    return rows[row.title][column.title]


def test_a_cell_has_mean_and_deviation_over_subjects_and_the_best_is_bold():
    table = table_of(record("unet-multi", SIX), record("sdnet-multi", raised(-0.1)))
    assert text_of(table, UNET) == r"**75.0 ± 3.7**\*"
    assert text_of(table, SDNET) == "65.0 ± 3.7"


def test_distances_are_best_where_they_are_smallest():
    table = table_of(record("unet-multi", SIX), record("sdnet-multi", raised(-0.1)))
    assert text_of(table, UNET, metric="hd95_mm") == r"**2.5 ± 0.4**\*"
    assert text_of(table, SDNET, metric="assd_mm") == "3.5 ± 0.4"
    assert benchmark.ranked(table, ALL, "hd95_mm") == [UNET, SDNET]


def test_rows_that_are_shown_equal_are_all_best_and_none_has_a_star():
    table = table_of(record("unet-multi", SIX), record("sdnet-multi", raised(0.0001)), record("dadr", raised(-0.2)))
    assert text_of(table, UNET) == text_of(table, SDNET) == "**75.0 ± 3.7**"


def test_the_further_grid_of_a_table_is_that_of_its_first_column():
    values = [0.5, 0.25, 0.75, 1.0]
    evaluation = {"posterior_variance_per_dimension": values}
    small = record("dafnet", SIX, kinds=("single", "fused"), variant="z4", evaluation=evaluation)
    title, (_, *body) = benchmark.second_grid(table_of(small, name="Sec. V-F"))
    assert title.endswith("of z; small is informative (LGE, 100 %)")
    assert ["C = 8, n_z = 4", "0.25 to 1.00", "0.25 0.50 0.75 1.00", "0.43 to 0.60"] in body
    assert benchmark.second_grid(table_of(record("unet-multi", SIX))) is None


@pytest.mark.parametrize(("subjects", "star"), [(5, False), (6, True)])
def test_with_fewer_than_six_subjects_nothing_is_significant(subjects, star):
    table = table_of(record("unet-multi", SIX[:subjects]), record("sdnet-multi", raised(-0.3)[:subjects]))
    assert text_of(table, UNET).endswith(r"**\*") is star
    said = figures.sentence(table, "dice", ALL, UNET, SDNET)
    assert ("no difference can be significant" in said) is not star
    assert ("is significant" in said) is star


def test_methods_that_are_given_masks_do_not_compete_and_have_no_annotations_of_their_own():
    table = table_of(
        record("copy", raised(0.1), kinds=("copy",)),
        record("unet-multi", SIX),
        record("sdnet-multi", raised(-0.1)),
        record("unet-multi", raised(-0.3), annotations=0.0),
    )
    assert [row.method for row in table.rows] == ["copy", "unet-multi", "sdnet-multi"]
    assert text_of(table, ROWS["Copy"]) == text_of(table, ROWS["Copy"], NONE) == "85.0 ± 3.7"
    assert text_of(table, UNET) == r"**75.0 ± 3.7**\*"
    assert text_of(table, UNET, NONE) == "**45.0 ± 3.7**"  # alone there


def test_a_failure_is_shown_with_its_reason_and_a_cell_that_was_not_run_is_empty():
    table = table_of(
        record("unet-multi", SIX),
        record("unet-single", [], annotations=0.0, failure="n/a: nothing is annotated"),
        record("sdnet-multi", [], annotations=0.0, failure="diverged at step 310"),
    )
    assert text_of(table, UNET, NONE) == ""
    assert text_of(table, ROWS["UNet-single"], NONE) == "n/a"
    said = figures.explanation(table, "dice")
    assert "UNet-single, LGE, 0 %: nothing is annotated." in said
    assert "SDNet-multi, LGE, 0 %: diverged at step 310." in said
    assert "no numbers of **SDNet-multi**: diverged at step 310" in figures.sentence(table, "dice", NONE, SDNET, UNET)


def test_one_of_two_trainings_that_failed_is_told_and_the_other_one_counts():
    table = table_of(record("unet-multi", SIX), record("unet-multi", [], seed=1, failure="diverged at step 9"))
    assert text_of(table, UNET) == "**75.0 ± 3.7**"
    assert "UNet-multi, LGE, 100 % (1 of 2 trainings): diverged at step 9" in figures.explanation(table, "dice")


def test_folds_add_subjects_and_seeds_are_averaged_by_subject():
    table = table_of(
        record("unet-multi", {"a": 0.6, "b": 0.8}),
        record("unet-multi", {"a": 0.8, "b": 0.9}, seed=1),
        record("unet-multi", {"c": 0.5}, fold=1),
    )
    assert table.numbers(UNET, ALL, "dice") == pytest.approx({"a": 0.7, "b": 0.85, "c": 0.5})


def test_unknown_numbers_are_left_out_and_the_number_of_subjects_is_told():
    table = table_of(record("unet-multi", SIX), record("sdnet-multi", [0.5, None, 0.7]), record("dadr", SIX))
    assert text_of(table, SDNET) == "60.0 ± 14.1 (n = 2)"
    assert "(n" not in text_of(table, UNET)
    assert "over 6 subjects" in figures.explanation(table, "dice")
    assert "of 60.0 ± 14.1 %, mean ± standard deviation over 2 subjects" in figures.sentence(
        table, "dice", ALL, SDNET, None
    )


def test_one_subject_has_no_deviation_and_is_not_compared():
    table = table_of(record("unet-multi", [0.5]), record("sdnet-multi", [0.4]))
    assert text_of(table, UNET) == "**50.0**"
    assert "Fewer than two of these subjects" in figures.sentence(table, "dice", ALL, UNET, SDNET)


def test_a_sentence_tells_the_difference_in_the_metric_s_unit():
    table = table_of(record("unet-multi", SIX), record("sdnet-multi", raised(-0.1)))
    said = figures.sentence(table, "dice", ALL, UNET, SDNET)
    assert "10.0 percentage points more than **SDNet-multi** on the same 6 subjects" in said
    assert "(95 % interval of the difference +10.0 to +10.0, p = 0.031 by permutation), and better in 6 of them" in said
    assert "1.0 mm less than **SDNet-multi**" in figures.sentence(table, "hd95_mm", ALL, UNET, SDNET)
    assert "better in 6 of them" in figures.sentence(table, "hd95_mm", ALL, UNET, SDNET)


def test_lines_join_the_same_subjects_and_show_who_is_better():
    table = table_of(record("unet-multi", {"a": 0.6, "b": 0.8}), record("sdnet-multi", {"b": 0.9, "a": 0.5, "c": 0.1}))
    figure = figures.strip_figure(table, "dice", ALL, UNET, SDNET, dark=False)
    lines = {trace.y: trace.line.color for trace in figure.data if trace.mode == "lines"}
    assert lines == {(60.0, 50.0): figures.COLOURS[0], (80.0, 90.0): figures.COLOURS[1]}
    points = [trace for trace in figure.data if trace.mode == "markers"]
    assert [trace.text for trace in points] == [("a", "b"), ("b", "a", "c")]
    distances = figures.strip_figure(table, "hd95_mm", ALL, UNET, SDNET, dark=False)
    assert [t.line.color for t in distances.data if t.mode == "lines"] == list(lines.values())


def test_with_all_annotations_a_training_that_serves_all_modalities_counts_for_each():
    table = table_of(
        record("unet-multi", SIX),
        record("unet-multi", raised(-0.2), target="cine", annotations=0.0),
        record("unet-single", SIX),
    )
    assert table.columns == (ALL, Column("cine", 1.0), Column("cine", 0.0))
    assert text_of(table, UNET, Column("cine", 1.0))
    assert text_of(table, ROWS["UNet-single"], Column("cine", 1.0)) == ""


def test_tables_are_those_that_have_a_finished_cell_of_their_own():
    base = record("dafnet", SIX, variant="paper", kinds=("single", "fused"))
    assert list(tables([base])) == ["Table I"]
    assert list(tables([base, record("dafnet", [], variant="spade", failure="diverged at step 1")])) == ["Table I"]
    spade = record("dafnet", SIX, variant="spade", kinds=("single", "fused"))
    eighth = record("unet-multi", SIX, annotations=0.125)
    found = tables([base, spade, eighth, record("unet-multi", SIX, target="cine", annotations=0.125)])
    assert list(found) == ["Table I", "Table II", "Sec. V-G"]
    assert [row.title for row in found["Sec. V-G"].rows] == ["FiLM", "SPADE"]
    assert found["Table II"].columns == (Column("LGE", 0.125),)
    assert tables([]) == {}


def test_the_tables_are_those_of_the_experiments():
    assert tuple(TABLES.values()) == benchmark.DEFINITIONS


def test_the_paper_s_number_stands_in_brackets_beside_ours():
    patients = {"data": "chaos:FOLDER", "target": "T2", "modalities": ("T1", "T2")}
    table = table_of(
        record("dafnet", SIX, variant="paper", kinds=("single", "fused"), **patients),
        record("unet-multi", SIX, annotations=0.0, **patients),
        record("unet-single", [], annotations=0.0, failure="n/a: nothing is annotated", **patients),
    )
    none = Column("T2", 0.0)
    assert text_of(table, DAFNET, Column("T2", 1.0)) == "**75.0 ± 3.7** :gray[:small[(85 ± 5)]]"
    assert text_of(table, UNET, none) == "**75.0 ± 3.7** :gray[:small[(–)]]"
    assert text_of(table, DAFNET, none) == " :gray[:small[(74 ± 3)]]"
    assert text_of(table, ROWS["UNet-single"], none) == "n/a :gray[:small[(n/a)]]"
    assert text_of(table, DAFNET, Column("T2", 1.0), "hd95_mm") == "**2.5 ± 0.4**"
    assert "In brackets: the paper's." in figures.explanation(table, "dice")
    assert "In brackets" not in figures.explanation(table, "hd95_mm")
    assert "85 (05)" in [row["paper (%)"] for row in figures.csv_rows(table, "dice")]


def test_csv_has_numbers_with_their_units_in_the_header():
    table = table_of(record("unet-multi", SIX), record("dadr", [], failure="diverged at step 3"))
    about = benchmark.provenance(table, "phantom-hard-smoke", "dice")
    text = table_csv(figures.csv_rows(table, "dice"), about).decode()
    assert '# results: "phantom-hard-smoke"' in text
    rows = list(csv.DictReader(line for line in io.StringIO(text) if not line.startswith("#")))
    first = next(row for row in rows if row["method"] == "unet-multi")
    assert float(first["mean (%)"]) == pytest.approx(75)
    assert float(first["standard deviation (%)"]) == pytest.approx(100 * np.std(SIX, ddof=1))
    assert (first["subjects"], first["annotated (%)"]) == ("6", "100.0")
    failed = next(row for row in rows if row["method"] == "dadr")
    assert (failed["mean (%)"], failed["failure"]) == ("", "diverged at step 3")
    assert {"mean (mm)", "standard deviation (mm)"} <= set(figures.csv_rows(table, "hd95_mm")[0])


def test_numbers_by_subject_have_every_metric():
    table = table_of(record("unet-multi", [0.5, None]), record("unet-multi", [0.6], seed=1))
    rows = figures.subject_rows(table)
    assert [(row["subject"], row["seed"], row["Dice per slice (%)"]) for row in rows] == [
        ("a", 0, 50.0),
        ("b", 0, None),
        ("a", 1, 60.0),
    ]
    assert rows[0]["HD95 (mm)"] == pytest.approx(5)


def test_latex_is_a_tabular_with_the_best_in_bold():
    table = table_of(
        record("unet-multi", SIX), record("sdnet-multi", raised(-0.1)), record("dadr", [], failure="diverged")
    )
    lines = figures.latex(table, "dice", {"data": "a\nb"}).splitlines()
    assert lines[0] == "% data: a b"
    assert r"Method & LGE, 100 \% \\" in lines
    assert r"UNet-multi & \textbf{75.0 $\pm$ 3.7}* \\" in lines
    assert r"SDNet-multi & 65.0 $\pm$ 3.7 \\" in lines
    assert r"DADR & n/a \\" in lines


def test_folders_with_records_are_found_by_name_and_read_again_when_they_change(tmp_path, monkeypatch):
    ours, mine = tmp_path / "results", tmp_path / "mine"
    record("unet-multi", SIX).write(ours / "phantom-hard-smoke")
    record("unet-multi", SIX).write(mine / "phantom-hard-smoke")
    (ours / "section-vh").mkdir()
    (ours / "section-vh" / "film-0.json").write_text('{"checkpoint": "x"}')
    monkeypatch.setattr(benchmark, "RESULTS", ours)
    monkeypatch.setattr(benchmark, "named_results", lambda: (mine, tmp_path / "nowhere"))
    folders = benchmark.folders()
    assert folders == {
        "phantom-hard-smoke": ours / "phantom-hard-smoke",
        "phantom-hard-smoke (mine)": mine / "phantom-hard-smoke",
    }
    folder = ours / "phantom-hard-smoke"
    record("unet-multi", SIX).write(ours / "chaos-smoke")
    assert list(benchmark.folders())[:2] == ["chaos-smoke", "phantom-hard-smoke"]
    (folder / "masks").mkdir()
    assert list(benchmark.folders())[:2] == ["phantom-hard-smoke", "chaos-smoke"]  # something to see comes first
    assert len(benchmark.tables_of(folder)["Table I"].rows) == 1
    record("sdnet-multi", SIX).write(folder)
    assert len(benchmark.tables_of(folder)["Table I"].rows) == 2
    record("dadr", SIX, subjects=("a", "b")).write(folder)
    with pytest.raises(ValueError, match=r"dadr_LGE_100_f0_s0.json has 6 numbers of 2 subjects"):
        benchmark.tables_of(folder)


# --- masks ---


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two records with masks of phantom subjects: the true ones, and ones without a class on one slice."""
    folder = tmp_path_factory.mktemp("results") / "phantom-hard-smoke"
    for method, change in (
        ("unet-multi", lambda labels, position: labels),
        ("sdnet-multi", lambda labels, position: np.where((labels == 1) & (position == 3), 0, labels)),
    ):
        made = record(method, {"phantom_s9800_0000": 0.8, "phantom_s9800_0001": 0.7})
        made.write(folder)
        write_masks(folder, made.cell, ("single",), change)
    return folder


def test_slices_come_in_the_order_of_the_disagreement_of_two_methods(folder):
    table = benchmark.tables_of(folder)["Table I"]
    files = benchmark_masks.with_masks(folder, table, ALL)
    assert set(files) == {UNET, SDNET}
    ordered = benchmark_masks.by_disagreement(files, "LGE", UNET, SDNET)
    assert {place.position for place, _ in ordered[:2]} == {3}
    assert ordered[0][1] > 0.05
    assert ordered[2][1] == 0
    assert len(ordered) == 16
    alone = benchmark_masks.by_disagreement(files, "LGE", UNET, DAFNET)
    assert len(alone) == 16
    assert {share for _, share in alone} == {None}
    assert "phantom_s9800_0001, slice 5" in figures.titled(alone)
    assert benchmark_masks.by_disagreement(files, "LGE", DAFNET, UNET) == ()


def test_the_image_and_truth_below_masks_are_those_of_their_slice(folder):
    table = benchmark.tables_of(folder)["Table I"]
    files = benchmark_masks.with_masks(folder, table, ALL)
    place = Place("phantom_s9800_0001", 4)
    masks = benchmark_masks.masks_of(files, "LGE", place)
    scene = benchmark_masks.scene_of(table.cells[UNET, ALL], "LGE", place, masks[UNET].shape)
    assert np.array_equal(scene.truth, masks[UNET])
    assert scene.truth.any()
    assert scene.image.shape == masks[UNET].shape
    assert scene.classes[0] == "background"


def test_data_that_the_app_was_not_started_with_are_named(folder):
    patients = record("unet-multi", {"1": 0.8}, data="chaos:FOLDER", evaluation={"data": "chaos:FOLDER"})
    said = benchmark_masks.scene_of([patients], "LGE", Place("1", 0), (64, 64))
    assert "`streamlit run app.py -- --data chaos:FOLDER`" in said


def test_masks_beside_the_runs_are_found(folder, tmp_path, monkeypatch):
    source = next((folder / "masks").glob("unet*"))
    (tmp_path / folder.name).mkdir()
    (tmp_path / folder.name / f"{source.stem}.masks.npz").write_bytes(source.read_bytes())
    record("unet-multi", SIX).write(tmp_path / "results" / folder.name)
    table = benchmark.tables_of(tmp_path / "results" / folder.name)["Table I"]
    monkeypatch.setattr(benchmark_masks, "RUNS", tmp_path)
    assert set(benchmark_masks.with_masks(tmp_path / "results" / folder.name, table, ALL)) == {UNET}


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 cut off"])
def test_a_file_that_holds_no_masks_is_named(content, tmp_path):
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.npz is no file of masks"):
        benchmark_masks.read_masks(benchmark.stamp([tmp_path / "bad.npz"]), "LGE", "single")


def test_masks_of_another_type_are_refused_and_keys_of_other_kinds_left_alone(tmp_path):
    arrays = {"a|b|0|LGE|single": np.zeros((4, 4), np.uint8), "a|0|cine|single": np.zeros(3), "x": np.zeros(3)}
    np.savez(tmp_path / "m.npz", **arrays)
    files = benchmark.stamp([tmp_path / "m.npz"])
    assert list(benchmark_masks.read_masks(files, "LGE", "single")) == [Place("a|b", 0)]
    with pytest.raises(ValueError, match=r"cine\|single is float64"):
        benchmark_masks.read_masks(files, "cine", "single")


def test_errors_are_mapped_to_agreement_excess_lack_and_another_class():
    labels, truth = np.array([[0, 1, 1, 0, 2]]), np.array([[0, 1, 0, 2, 1]])
    assert figures.error_map(labels, truth).tolist() == [[0, 1, 2, 3, 4]]
    assert list(figures.ERRORS) == ["agreement", "over-segmented", "missed", "another class"]
    assert benchmark_masks.disagreement(labels, truth) == pytest.approx(1 - 2 / 6)
    assert benchmark_masks.disagreement(truth, truth) == 0
    assert benchmark_masks.disagreement(labels * 0, truth * 0) == 0


def test_a_sheet_has_a_mask_of_every_method_and_below_it_its_errors():
    labels = np.zeros((32, 32), np.uint8)
    labels[8:16, 8:16] = 1
    scene = Scene(np.zeros((32, 32), np.float32), labels, ("background", "heart"))
    masks = {UNET: labels, SDNET: labels * 0}
    places = figures.masks_sheet(masks, scene, ("#000000", "#D55E00"), LIGHT).info["tiles"]
    assert [(r, c) for r, c, *_ in places] == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 2), (1, 3)]
    assert {(w, h) for *_, w, h in places} == {(128, 128)}  # a multiple of the prepared size
    alone = figures.masks_sheet(masks, None, ("#000000", "#D55E00"), LIGHT).info["tiles"]
    assert [(r, c) for r, c, *_ in alone] == [(0, 0), (0, 1)]
