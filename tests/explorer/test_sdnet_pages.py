"""Checkpoints of SDNet: pages of factors work, and what needs a warp says that there is none."""

import pytest
from page_visits import ROOT, page_text, wait_for_jobs

from dafnet_explorer import catalogue
from tests.helpers import untrained

PAGES = ("start", "tour", "decompose", "traverse", "edit", "mix", "probe", "independence", "truth", "quiz", "report")


@pytest.fixture
def sdnet(tmp_path, monkeypatch, request):
    """A catalogue of an SDNet with random weights, SDNet-multi unless another is named, and a DAFNet."""
    (tmp_path / "cardiac-spade.safetensors").symlink_to(ROOT / "checkpoints" / "cardiac-spade.safetensors")
    monkeypatch.setattr(catalogue, "CHECKPOINTS", tmp_path)
    return untrained.write(tmp_path / "sdnet.safetensors", getattr(request, "param", "sdnet-multi"))


@pytest.mark.slow
@pytest.mark.parametrize("sdnet", ["sdnet-multi", "sdnet-single"], indirect=True)
def test_pages_of_factors_show_those_of_sdnet(app, few, sdnet):
    app.query_params["checkpoint"] = "sdnet"
    app.run()
    for page in PAGES:
        app.switch_page(f"pages/{page}.py").run()
        wait_for_jobs(app)
        assert not app.exception, page
        assert "has no anatomy and modality factors" not in page_text(app), page
        if page == "decompose":
            assert f"{sdnet.method.title} does not align one modality with another" in page_text(app)
            table = app.dataframe[0].value
            assert {*table["mask"]} == {"single", "truth, undeformed, of cine", "truth, undeformed, of LGE"}
            served = {"LGE"} if sdnet.config.target else {"cine", "LGE"}
            assert {*table["modality"][table["mask"] == "single"]} == served


@pytest.mark.slow
def test_what_needs_a_warp_says_that_there_is_none(app, sdnet):
    app.query_params["checkpoint"] = "sdnet"
    app.run().switch_page("pages/align.py").run()
    assert not app.exception
    assert "SDNet-multi does not align one modality with another" in page_text(app)
    app.query_params["station"] = "6"
    app.run().switch_page("pages/tour.py").run()
    assert not app.exception
    assert "SDNet-multi does not align one modality with another" in page_text(app)


def test_a_checkpoint_of_another_method_is_no_counterpart(sdnet):
    assert catalogue.counterpart(sdnet) is None
