"""Checkpoints whose folds left no test subjects: every page that shows their numbers says on whom they are."""

from dataclasses import replace

import pytest
from page_visits import SHIPPED, page_text, wait_for_jobs

from dafnet_core.checkpoints.file import load, save
from dafnet_core.checkpoints.schema import SplitRecord
from dafnet_core.data.phantom import CLASSES
from dafnet_core.evaluate import evaluate_checkpoint
from dafnet_explorer import catalogue, data_sets
from tests.helpers.nnunet_folder import Folder, marked

SAID = "Judged on its validation subjects: this data set's folds have no test part"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two checkpoints in the catalogue that were trained on a folder in two parts, which the app is started with."""
    folder = Folder(tmp_path / "hearts", channels=("cine", "LGE"), labels=CLASSES)
    for number, name in enumerate("abc"):
        folder.case(name, marked(1, shift=3 * number))
    shipped = load(SHIPPED)
    split = SplitRecord(train=("a",), val=("b", "c"), test=())
    made = replace(shipped, training=replace(shipped.training, split=split), metrics={})
    stored = evaluate_checkpoint(made, str(folder.root), split="val").result
    made = replace(made, metrics={"validation": replace(stored, data="FOLDER")})
    for name in ("one", "other"):
        save(made, tmp_path / f"{name}.safetensors")
    monkeypatch.setattr(catalogue, "CHECKPOINTS", tmp_path)
    monkeypatch.setattr(data_sets, "named", lambda: (str(folder.root),))
    return folder


def test_the_card_on_the_page_checkpoints_says_so(app, folder):
    app.query_params["checkpoint"] = "one"
    app.run().switch_page("pages/checkpoints.py").run()
    assert not app.exception
    assert SAID in page_text(app)
    assert "--data FOLDER --split val" in page_text(app)


@pytest.mark.slow
def test_compare_and_probe_say_so_and_evaluate_the_same_part(app, folder):
    app.query_params["checkpoint"] = "one"
    app.run()
    for page in ("compare", "probe"):
        app.switch_page(f"pages/{page}.py").run()
        app.selectbox(key="data-set").set_value(str(folder.root))
        app.run()
        wait_for_jobs(app)
        assert not app.exception
        assert not app.error
        assert SAID in page_text(app)
        assert "--data hearts --split val" in page_text(app)
        if page == "compare":
            assert "2 subjects, 2 slices" in page_text(app)
