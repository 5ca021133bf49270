"""The page Benchmark by Streamlit's own test client, with records of two phantom subjects."""

import numpy as np
import pytest
from page_visits import open_app, page_text

from dafnet_explorer import benchmark
from tests.helpers.records import record, write_masks

SUBJECTS = "phantom_s9800_0000", "phantom_s9800_0001"


def write_results(root):
    """Records of a small Table I and of Section V-G; those of its first column have masks."""
    folder = root / "phantom-hard-smoke"

    def write(method, *dice, **options):
        made = record(method, dict(zip(SUBJECTS, dice, strict=False)), **options)
        made.write(folder)
        return made

    write_masks(folder, write("unet-multi", 0.8, 0.7).cell, ("single",))
    shifted = write("sdnet-multi", 0.7, 0.65).cell
    write_masks(folder, shifted, ("single",), lambda labels, position: np.roll(labels, 1, 0))
    write("dafnet", 0.9, 0.8, kinds=("single", "fused"), variant="paper")
    write("dafnet", 0.6, 0.5, kinds=("single", "fused"), variant="paper", annotations=0.0)
    write("unet-single", annotations=0.0, failure="n/a: UNet-single learns from LGE alone")
    write("dafnet", 0.95, 0.85, kinds=("single", "fused"), variant="spade")
    return folder


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    write_results(root)
    return root


@pytest.fixture
def shown(results, monkeypatch):
    """Open the page with these query parameters."""

    def show(**query):
        monkeypatch.setattr(benchmark, "RESULTS", results)
        app = open_app()
        app.query_params.update(query)
        app.run().switch_page("pages/benchmark.py").run()
        assert not app.exception
        return app

    return show


def test_without_records_the_page_says_what_makes_some(shown, tmp_path, monkeypatch):
    app = shown()
    monkeypatch.setattr(benchmark, "RESULTS", tmp_path)
    app.run()
    assert not app.exception
    assert not app.error
    (said,) = (info.value for info in app.info)
    assert "python -m experiments table1 --data phantom --protocol smoke" in said
    assert not app.table


def test_the_table_its_best_cell_and_two_masks_are_there_at_once(shown):
    app = shown()
    table = app.table[0].value.set_index("method")
    for row in ("DAFNet, one input", "DAFNet, both inputs"):
        assert table.loc[row, "LGE, 100 %"] == "**85.0 ± 7.1**"
    assert table.loc["UNet-single", "LGE, 0 %"] == "n/a"
    assert table.loc["SDNet-multi", "LGE, 0 %"] == ""
    text = page_text(app)
    assert "UNet-single, LGE, 0 %: UNet-single learns from LGE alone." in text
    assert "**DAFNet, one input**: Dice per slice of 85.0 ± 7.1 %" in text
    assert "more than **UNet-multi** on the same 2 subjects" in text
    assert "With fewer than 6 subjects no difference can be significant" in text
    assert app.get("plotly_chart")
    assert "No masks of DAFNet, one input" in text


def test_a_cell_is_chosen_with_the_keyboard_s_controls_and_shows_its_masks(shown):
    app = shown()
    app.selectbox(key="row").set_value("UNet-multi").run()
    app.selectbox(key="versus").set_value("SDNet-multi").run()
    assert not app.exception
    assert "**UNet-multi**: Dice per slice of 75.0 ± 7.1 %" in page_text(app)
    slices = app.selectbox(key="slice-of-masks").options
    assert len(slices) == 16
    shares = [int(title.rpartition(": ")[2].removesuffix(" % differ")) for title in slices]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0
    assert app.get("image")
    app.selectbox(key="metric").set_value("hd95_mm").run()
    assert "mm less than **SDNet-multi**" in page_text(app)
    app.selectbox(key="column").set_value("LGE, 0 %").run()
    assert not app.exception
    assert "**DAFNet, one input**: HD95 of 4.5 ± 0.7 mm" in page_text(app)


def test_a_link_opens_a_cell_and_what_a_table_lacks_gives_way(shown):
    app = shown(table="Sec. V-G", row="FiLM", versus="nothing", metric="Dice per volume (%)")
    assert "**FiLM**: Dice per volume of 85.0 ± 7.1 %" in page_text(app)
    assert "percentage points" not in page_text(app)
    app.selectbox(key="row").set_value("SPADE").run()
    app.selectbox(key="table").set_value("Table I").run()
    assert not app.exception
    assert app.selectbox(key="row").value in app.selectbox(key="row").options


def test_a_file_that_is_no_record_is_named_without_its_folder(shown, results, tmp_path, monkeypatch):
    app = shown()
    folder = tmp_path / "phantom-hard-smoke"
    record("unet-multi", [0.5]).write(folder)
    (folder / "broken.json").write_text('{"cell": 3')
    monkeypatch.setattr(benchmark, "RESULTS", tmp_path)
    app.run()
    assert not app.exception
    assert "broken.json is not JSON" in app.error[0].value
    assert str(tmp_path) not in page_text(app)
