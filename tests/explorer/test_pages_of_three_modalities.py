"""Every page with three modalities: T1, FLAIR and T1 after contrast, of a data set and of the user's files."""

import pytest
from page_visits import choose_own_files, drop, open_app, page_text, png_file, wait_for_jobs
from test_pages_of_data_sets import PAGES, write_folder

import train
from dafnet_core.checkpoints.file import load
from dafnet_explorer import catalogue, data_sets

pytestmark = pytest.mark.slow
NAMES = "T1", "FLAIR", "T1c"
TINY = ["--size", "64", "--batch-size", "2", "--steps", "2", "--validate-every", "2", "--save-every", "2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("three"), NAMES, name="Three contrasts")


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    """A folder with checkpoints of both decoders, of two training steps each."""
    root = tmp_path_factory.mktemp("checkpoints")
    for decoder in ("film", "spade"):
        run = root / f"run-{decoder}"
        assert train.main(["--data", folder, *TINY, "--decoder", decoder, "--out", str(run)]) == 0
        (run / "best.safetensors").rename(root / f"three-{decoder}.safetensors")
    return root


@pytest.fixture
def app(trained, monkeypatch):
    monkeypatch.setattr(catalogue, "CHECKPOINTS", trained)
    return open_app()


@pytest.fixture
def with_data(app, folder, monkeypatch):
    monkeypatch.setattr(data_sets, "named", lambda: (folder,))
    return app.run()


def test_the_checkpoint_is_of_three_modalities(trained):
    assert load(trained / "three-film.safetensors").config.modalities == NAMES


@pytest.mark.parametrize("page", PAGES)
def test_every_page_works_with_a_data_set(with_data, page):
    app = with_data.switch_page(f"pages/{page}.py").run()
    wait_for_jobs(app)
    assert not app.exception
    assert not app.error
    text = page_text(app)
    if page == "align":
        assert len(app.button_group(key="onto").options) == 6
    elif page == "decompose":
        assert len(app.tabs) == 3
        table = app.dataframe[0].value
        assert set(table["modality"]) == set(NAMES)
        assert {f"deformed from {name}" for name in NAMES} <= set(table["mask"])
    elif page == "mix":
        assert {option.split(", ")[2] for option in app.multiselect(key="mix-rows").options} == set(NAMES)
    elif page == "traverse":
        assert app.button_group(key="moved").options == list(NAMES)
    elif page in ("start", "tour"):
        assert "Three contrasts, subject" in text


@pytest.mark.parametrize("station", range(1, 11))
def test_every_station_of_the_tour_has_its_picture(app, folder, monkeypatch, station):
    monkeypatch.setattr(data_sets, "named", lambda: (folder,))
    app.query_params["station"] = str(station)
    app.run().switch_page("pages/tour.py").run()
    assert not app.exception
    assert app.main.get("image")


@pytest.mark.parametrize("page", ["start", "decompose", "align", "edit", "quiz", "compare", "mix", "report", "tour"])
@pytest.mark.parametrize("given", [NAMES, NAMES[1:]], ids=["three", "two"])
def test_files_of_all_or_some_modalities_are_shown(app, given, page):
    choose_own_files(app.run())
    drop(app, *(png_file(f"ann_{name}.png", n) for n, name in enumerate(given)))
    app.switch_page(f"pages/{page}.py").run()
    assert not app.exception
    assert not app.error
    assert "; ".join(f"`ann_{name}.png`" for name in given) in page_text(app)
    if page == "align":
        assert len(app.button_group(key="onto").options) == len(given) * (len(given) - 1)
    elif page == "mix":
        assert app.multiselect(key="mix-rows").value == list(given)
