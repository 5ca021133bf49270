"""Tables of the paper: their cells, their numbers as text, and the paper's own."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dafnet_core.methods import METHODS, trainable
from dafnet_core.metrics.paired import paired
from dafnet_core.training.config import TrainConfig
from experiments import aligner, decoders, factors, paper, table1, table2, table3, table4
from experiments.__main__ import TABLES, described, main
from experiments.cell import OF_ONE_MODALITY, Cell, has_target
from experiments.command import UNTESTED, notes_of, text_of
from experiments.protocol import PROTOCOLS, VARIANTS, Setting
from experiments.record import Record
from experiments.rendering import render
from experiments.table import Entry, Scope, marked
from tests.helpers.chaos_tree import write_chaos
from tests.helpers.nnunet_folder import Folder
from tests.helpers.nnunet_folder import marked as marked_volume

PHANTOM = Setting(protocol="smoke")
SCOPE = Scope(PHANTOM, ("LGE",), (0,), (0,))


def record(cell, numbers, subjects=6, **further):
    """A record with a Dice of each subject, `numbers` by kind."""
    names = tuple(f"s{n}" for n in range(subjects))
    found = {"LGE": {kind: {"dice": tuple(values)} for kind, values in numbers.items()}}
    return Record(cell.name, data="phantom", protocol="smoke", subjects=names, numbers=found, **vars(cell), **further)


def cell(method, variant="", share=1.0, target="LGE"):
    return Cell.of(method, variant, target, share, 0, 0, "LGE")


def column(subjects=6):
    """Table I's column LGE, 100 %, of four methods."""
    base = np.linspace(0.7, 0.8, subjects)
    cells = {m: cell(m) for m in ("copy", "unet-multi", "sdnet-multi")} | {"dafnet": cell("dafnet", "paper")}
    records = [
        record(cells["copy"], {"copy": base + 0.15}, subjects),
        record(cells["unet-multi"], {"single": base}, subjects, minutes=3.0, machine="one GPU"),
        record(cells["dafnet"], {"single": base - 0.1, "fused": base + 0.05}, subjects, minutes=5.0, machine="one GPU"),
        record(cells["sdnet-multi"], {}, failure="diverged: step 3: rec is nan"),
    ]
    return {r.cell: r for r in records}


def entries_of(records, metric="dice"):
    return {(e.method, e.variant, e.kind): e for e in table1.TABLE.column("LGE", 1.0, SCOPE, records, metric)}


# --- cells --------------------------------------------------------------------------------------------------


def test_help_lists_every_table(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {name} " in shown for name in (*TABLES, "section-vh", "masks", "figures"))
    assert shown.strip() == described()


def test_rows_of_table_i_are_in_the_papers_order_and_hold_every_method():
    methods = list(dict.fromkeys(row.method for row in table1.ROWS))
    assert sorted(methods) == sorted(METHODS)
    assert methods[:4] == ["copy", "register", "active-contour", "unet-single"]
    assert methods[-1] == "dafnet"
    assert all(row.kind in METHODS[row.method].kinds for table in TABLES.values() for row in table.rows)


def test_tables_share_cells():
    found = {name: set(table.cells(SCOPE)) for name, table in TABLES.items()}
    full = "dafnet-paper_LGE_0_f0_s0"
    assert all(full in found[name] for name in ("table1", "table3", "table4", "aligner", "decoders"))
    assert "dafnet-paper_LGE_12.5_f0_s0" in found["table2"]
    assert "copy_f0_s0" in found["table1"] & found["table2"] & found["table3"]


def test_methods_of_all_modalities_are_trained_once_with_all_annotations():
    assert cell("dafnet", "paper", 1.0, "cine") == cell("dafnet", "paper")
    assert cell("dafnet", "paper", 0.0, "cine") != cell("dafnet", "paper", 0.0)
    assert cell("unet-single", "", 1.0, "cine") != cell("unet-single")
    assert cell("copy", "", 0.0, "cine").name == cell("copy").name == "copy_f0_s0"
    assert {m for m in trainable() if has_target(m)} == {*OF_ONE_MODALITY, "translation"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_cell_is_a_valid_training_of_its_own(protocol):
    setting = Setting(protocol=protocol)
    scope = Scope(setting, ("LGE", "cine"), (0,), (0, 3))
    cells = {n: c for table in TABLES.values() for n, c in table.cells(scope).items() if c.method in trainable()}
    configs = {name: TrainConfig.of(**c.options(setting)) for name, c in cells.items()}
    assert len({repr(config) for config in configs.values()}) == len(cells)
    steps = {(c.schedule.steps, c.schedule.epochs, c.data.grid, c.data.rotation) for c in configs.values()}
    assert len(steps) == 1
    assert {c.model.size for c in configs.values()} == {"published" if protocol == "paper" else "compact"}
    weights = configs["dafnet-paper_LGE_100_f0_s0"].final_weights
    assert (weights.adv_mask, weights.rec_z, weights.kl, weights.fused) == (1, 1, 0.1, 0)
    assert len({(c.losses.dice, c.losses.ce) for name, c in configs.items() if "clean" not in name}) == 1
    assert configs["dafnet-clean_LGE_0_f0_s0"].final_weights.agree == 4
    assert configs["dafnet-clean_LGE_0_f0_s0"].final_weights.adv_mask == 0


def test_every_variant_has_a_table():
    used = {row.variant for table in TABLES.values() for row in table.rows}
    assert used == set(VARIANTS)


def test_bad_requests_are_refused_with_what_there_is(capsys, tmp_path):
    for arguments, said in (
        (["--data", "phantom:seed=3"], "here it is phantom, with --difficulty"),
        (["--data", "phantom", "--targets", "T9"], "expected one of cine, LGE"),
        (["--data", "phantom", "--folds", "1"], "the phantom has no folds"),
        (["--data", "phantom", "--only", "nobody"], "table1 has no cell nobody; it has copy_f0_s0,"),
        (["--data", "phantom", "--options=--resume"], "--options holds --resume"),
        (["--data", str(tmp_path / "nowhere")], "nowhere"),
    ):
        assert main(["table1", "--results", str(tmp_path), *arguments]) == 2
        assert said in capsys.readouterr().err


def test_folders_are_named_by_data_and_protocol_without_a_path(tmp_path):
    chaos = write_chaos(tmp_path / "MR", (1, 2, 3))
    assert Setting(f"chaos:{chaos}").name == "chaos-compact"
    assert Setting(f"chaos:{chaos}").public_name == "chaos:FOLDER"
    assert PHANTOM.name == "phantom-hard-smoke"
    assert Setting(str(tmp_path / "Dataset001_X"), "paper", modalities=("T1", "FLAIR")).name == (
        "Dataset001_X-T1-FLAIR-paper"
    )
    assert Setting(f"chaos:{chaos}").source.modalities == ("T1", "T2")


def test_registered_folders_without_a_test_part_are_warped_and_said_to_be_optimistic(tmp_path, capsys):
    folder = Folder(tmp_path / "hearts")
    for number, name in enumerate("abcd"):
        folder.case(name, marked_volume(2, shift=3 * number))
    (folder.root / "splits_final.json").write_text(json.dumps([{"train": ["a", "b"], "val": ["c", "d"]}]))
    setting = Setting(str(folder.root), "smoke")
    options = setting.options("unet-multi", "", "T2", 0.5, 0, 0)
    assert (options["warp"], options["fold"], options["target"]) == (4.0, 0, "T2")
    assert "difficulty" not in options
    assert UNTESTED in "\n".join(notes_of({}, Scope(setting, ("T2",), (0,), (0,)), {}, {}, "dice"))
    assert main(["table1", "--data", str(folder.root), "--folds", "5", "--budget-minutes", "0"]) == 2
    assert "fold is 5; " in capsys.readouterr().err


def test_the_listed_commands_hold_all_that_a_cell_needs(capsys, tmp_path):
    asked = ["--data", "phantom", "--protocol", "smoke", "--options", "--steps 2", "--runs", str(tmp_path), "--list"]
    assert main(["table2", *asked]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(table2.TABLE.cells(SCOPE))
    assert all(line.startswith("python -m experiments table2 --only ") for line in lines)
    assert all(f"'--options=--steps 2' --runs={tmp_path} --targets LGE --folds 0 --seeds 0" in line for line in lines)


# --- numbers as text ----------------------------------------------------------------------------------------


def test_entries_are_means_over_subjects_with_the_best_learned_method_marked():
    entries = entries_of(column())
    best = entries["dafnet", "paper", "fused"]
    assert [key for key, e in entries.items() if e.best] == [("dafnet", "paper", "fused")]  # copy is no learned one
    values = np.linspace(0.7, 0.8, 6) + 0.05
    assert best.mean == pytest.approx(values.mean())
    assert best.deviation == pytest.approx(values.std(ddof=1))
    assert best.n == 6
    assert best.p == paired(values, values - 0.05).p_value == 2 / 2**6
    assert best.significant
    assert entries["copy", "", "copy"].mean > best.mean
    assert entries["sdnet-multi", "", "single"].said == "–"
    assert entries["unet-single", "", "single"].said == ""


def test_fewer_than_six_subjects_are_never_tested():
    best = entries_of(column(subjects=5))["dafnet", "paper", "fused"]
    assert best.best
    assert best.p is None
    assert not best.significant


def test_distances_are_better_when_they_are_smaller():
    entries = [Entry(n, n, "", "", "LGE", 1.0) for n in "ab"]
    values = [{"s1": 3.0, "s2": 4.0}, {"s1": 9.0, "s2": 8.0}]
    assert [e.best for e in marked(entries, values, "hd95_mm")] == [True, False]
    assert [e.best for e in marked(entries, values, "dice")] == [False, True]


def test_entries_that_print_the_same_number_are_all_best_and_none_has_a_star():
    entries = [Entry(n, n, "", "", "LGE", 1.0) for n in "abc"]
    values = [{f"s{n}": 0.8 - 0.001 * n - less for n in range(8)} for less in (0.001, 0, 0.1)]
    assert [(e.best, e.p) for e in marked(entries, values, "dice")] == [(True, None), (True, None), (False, None)]
    assert [e.best for e in marked(entries, [{"s1": 0.806}, {"s1": 0.804}, {}], "dice")] == [True, False, False]


def test_seeds_are_averaged_by_subject_and_folds_are_pooled():
    scope = Scope(PHANTOM, ("LGE",), (0, 1), (0, 1))
    cells = scope.cells(table1.ROWS[5], "LGE", 1.0)
    assert [(c.fold, c.seed) for c in cells] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    names = {0: ("a", "b"), 1: ("c",)}
    records = {
        c.name: Record(
            c.name,
            data="",
            protocol="",
            subjects=names[c.fold],
            numbers={"LGE": {"single": {"dice": tuple(0.5 + 0.1 * c.seed for _ in names[c.fold])}}},
            **vars(c),
        )
        for c in cells
    }
    (entry,) = (e for e in table1.TABLE.column("LGE", 1.0, scope, records, "dice") if e.method == "unet-multi")
    assert entry.n == 3
    assert entry.mean == pytest.approx(0.55)
    assert entry.deviation == pytest.approx(0)


def test_a_number_that_was_not_measured_is_a_question_mark():
    assert entries_of(column(), "hd95_mm")["unet-multi", "", "single"].said == "?"


def shown(form, metric="dice", records=None):
    return text_of(table1.TABLE, SCOPE, column() if records is None else records, {}, metric, form)


def test_markdown_has_bold_asterisk_and_what_is_missing():
    text = shown("markdown")
    lines = text.splitlines()
    assert lines[2] == "|  | LGE, 100 % | LGE, 0 % | n |"
    assert r"| DAFNet, both inputs | **80 (04)**\* |  | 6 |" in lines
    assert "| UNet-multi | 75 (04) |  | 6 |" in lines
    assert "| SDNet-multi | – |  |  |" in lines
    assert "| Copy | 90 (04) | 90 (04) | 6 |" in lines
    assert "Without numbers: sdnet-multi_LGE_100_f0_s0: diverged: step 3: rec is nan." in text
    assert "2 trainings of 3 to 5 minutes, 8 together, on one GPU." in text
    assert "Missing: register_f0_s0; active-contour_f0_s0; unet-single_LGE_100_f0_s0;" in text
    assert "64 x 64 pixels, 30 steps of 2 pairs" in text


def test_latex_csv_and_json_hold_the_same_numbers():
    assert r"DAFNet, both inputs & \textbf{80 (04)}* &  & 6 \\" in shown("latex")
    assert r"LGE, 100 \%" in shown("latex")
    head, *lines = (line.split(",") for line in shown("csv").splitlines())
    entries = json.loads(shown("json"))["entries"]
    assert head == list(entries[0])
    assert len(lines) == len(entries) == 2 * len(table1.ROWS)
    (best,) = (e for e in entries if e["best"])
    assert best["kind"] == "fused"
    assert best["p"] == 2 / 2**6


def test_problems_of_cells_and_other_options_are_noted():
    cells = {c.name: c for c in (cell("unet-multi"), cell("sdnet-multi"))}
    command = "python train.py --data phantom --device cuda --steps 7"
    records = {cell("unet-multi").name: record(cell("unet-multi"), {}, command=command)}
    notes = "\n".join(notes_of(cells, SCOPE, records, {cell("sdnet-multi").name: "no space"}, "dice"))
    assert "Missing: sdnet-multi_LGE_100_f0_s0 (no space)." in notes
    assert "Trained by other options than smoke has here: unet-multi_LGE_100_f0_s0." in notes


# --- the paper's numbers ------------------------------------------------------------------------------------


def test_the_papers_numbers_stand_beside_every_row_of_chaos(tmp_path):
    chaos = Setting(f"chaos:{write_chaos(tmp_path / 'MR', (1, 2, 3))}")
    scope = Scope(chaos, ("T2", "T1"), (0,), (0,))
    for table in (table1.TABLE, table2.TABLE):
        for target, share in table.columns(scope) if table is table1.TABLE else [("T2", s) for s in table.annotations]:
            for entry in table.column(target, share, scope, {}, "dice"):
                assert bool(entry.paper) == (entry.method != "unet-augmented"), entry
    entries = {(e.method, e.kind): e.paper for e in table1.TABLE.column("T2", 0.0, scope, {}, "dice")}
    assert entries["dafnet", "fused"] == "74 (03)"
    assert entries["dual-stream", "single"] == "–"
    assert entries["unet-single", "single"] == "n/a"
    assert all(not e.paper for e in table1.TABLE.column("T2", 0.0, scope, {}, "dice_volume"))
    assert all(not e.paper for e in table1.TABLE.column("LGE", 0.0, SCOPE, {}, "dice"))
    text = text_of(table1.TABLE, scope, {}, {}, "dice", "markdown")
    assert "ERI and BOLD, are not public" in text
    assert "|  | T2, 100 % | paper | T1, 100 % | paper | T2, 0 % | paper | T1, 0 % | paper | n |" in text


def test_tables_of_the_papers_cardiac_data_are_shown_beside_any_data():
    for table, bare in ((table3.TABLE, set()), (table4.TABLE, {"without-segmentor"}), (aligner.TABLE, set())):
        for share in (0.0, 1.0):
            entries = table.column("LGE", share, SCOPE, {}, "dice")
            assert {e.variant for e in entries if not e.paper} == bare
    text = text_of(table4.TABLE, SCOPE, {}, {}, "dice", "markdown")
    assert "| without L_adv^I |  | 71 (17) |  | 65 (05) |  |" in text
    assert "paper, ERI LGE" in text


def test_numbers_transcribed_from_the_paper():
    for numbers in (paper.TABLE_I, paper.TABLE_II, paper.TABLE_III, paper.TABLE_IV, paper.SECTION_V_D):
        assert len({len(rows) for rows in numbers.values()}) == 1
    assert paper.TABLE_I["CHAOS T1", 1.0]["dadr"] == "72 (22)"
    assert paper.TABLE_I["CHAOS T1", 0.0]["sdnet-multi"] == "63 (13)"
    assert paper.TABLE_I["ERI cine", 0.0]["dafnet single"] == "78 (05)"
    assert paper.TABLE_II["CHAOS T2", 0.125]["translation"] == "70 (10)"
    assert paper.TABLE_II["ERI LGE", 0.5]["dual-stream"] == "76 (03)"
    assert paper.TABLE_III["ERI LGE", 0.0]["shuffled"] == "65 (08)"
    assert paper.SECTION_V_D["ERI LGE", 1.0]["without-aligner"] == "75 (06)"
    assert paper.SECTION_V_F["CHAOS T2", 1.0]["C4"] == "74 (12)"
    assert paper.SECTION_V_G["CHAOS T2", 0.0]["spade"] == "75 (07)"
    assert decoders.TABLE.paper is paper.SECTION_V_G


def test_posterior_variances_are_sorted_and_averaged_over_trainings():
    rows = {row.variant: row for row in factors.TABLE.rows}
    known = [
        record(cell("dafnet", "z4"), {}, evaluation={"posterior_variance_per_dimension": values})
        for values in ([0.4, 0.2, 0.9, 0.6], [0.8, 0.6, 0.4, 0.2])
    ]
    grid = factors.posterior_variances({rows["z4"]: known, rows["paper"]: []})
    assert grid[1] == ["C = 8, n_z = 4", "0.20 to 0.85", "0.20 0.40 0.60 0.85", "0.43 to 0.60"]
    assert grid[2][1:] == ["", "", "0.47 to 0.80"]
    title, make = factors.TABLE.second
    text = render(factors.TABLE, [factors.TABLE.column("LGE", 1.0, SCOPE, {}, "dice")], grid, [], "dice", "markdown")
    assert title in text
    assert make({row: [] for row in rows.values()})[4][1:] == ["", "", "0.43 to 0.60"]
