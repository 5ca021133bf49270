"""The uploaded study predicted as a whole, from the page Decompose."""

import io
import json
import zipfile

import nibabel
import numpy as np
import pytest
from browser_visits import download
from page_visits import choose_own_files, drop, page_text

from dafnet_core.data.frame import in_one_plane
from dafnet_core.data.readers import read
from dafnet_explorer import state, whole_study
from tests.helpers.bodies import ORIENTATIONS, centred, image, opened

SHAPE, SPACING = (60, 52, 4), (2.0, 2.2, 8.0)
BUTTON = "Predict the whole study (NIfTI)"


def volume(n, frames=1):
    made = image(SHAPE, centred(SHAPE, SPACING), ORIENTATIONS[11 * n + 2])
    if frames > 1:
        values = np.asarray(made.dataobj)
        made = nibabel.Nifti1Image(np.stack([values * f for f in range(frames)], -1), made.affine)
    return made


def members(packed):
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def with_files(app):
    choose_own_files(app.run())
    drop(app, *((f"my-{name}.nii", volume(n).to_bytes(), "application/gzip") for n, name in enumerate(("cine", "LGE"))))
    return app.switch_page("pages/decompose.py").run()


def press(app):
    next(button for button in app.button if button.label == BUTTON).click()
    return app.run()


def test_the_button_gives_every_slice_on_the_voxels_of_the_files(with_files):
    app = press(with_files)
    assert not app.exception
    assert not app.error
    packed = app.session_state[state.PREDICTED][1]
    found = members(packed)
    assert sorted(name for name in found if name.endswith(".nii.gz")) == [
        "LGE_mask.nii.gz",
        "LGE_mask_deformed_from_cine.nii.gz",
        "LGE_mask_single.nii.gz",
        "cine_mask.nii.gz",
        "cine_mask_deformed_from_LGE.nii.gz",
        "cine_mask_single.nii.gz",
    ]
    for n, name in enumerate(("cine", "LGE")):
        mask = opened(found[f"{name}_mask.nii.gz"])
        assert mask.shape == volume(n).shape
        assert np.allclose(mask.affine, volume(n).affine, atol=1e-4)
    told = json.loads(found["prediction.json"])
    assert told["data"] == {"source": "upload"}
    assert "my-cine" not in found["prediction.json"].decode()
    assert any("Prediction (ZIP" in button.label for button in app.get("download_button"))


def test_a_prediction_is_offered_for_the_contents_that_were_chosen_and_no_others(with_files):
    app = press(with_files)
    app.multiselect(key="predicted").set_value(["masks", "factors"])
    app.run()
    assert not any("Prediction (ZIP" in button.label for button in app.get("download_button"))
    press(app)
    assert "z.csv" in members(app.session_state[state.PREDICTED][1])
    app.sidebar.button_group(key="source").set_value("Samples")
    app.run()
    assert "The whole study" not in [header.value for header in app.subheader]
    assert state.PREDICTED not in app.session_state


def test_results_that_are_too_large_are_refused_with_a_remedy(with_files, monkeypatch):
    monkeypatch.setattr(whole_study, "MOST_BYTES", 1 << 10)
    app = press(with_files)
    assert not app.exception
    assert "dafnet-predict" in app.error[0].value
    assert state.PREDICTED not in app.session_state


def test_the_size_is_that_of_what_is_made(checkpoint):
    scans = dict(enumerate(in_one_plane([read(("a.nii", volume(n).to_bytes())) for n in range(2)])))
    for what in (["masks"], ["probabilities"], ["anatomy"], ["warps"], ["reconstructions"]):
        found = members(whole_study.predicted_zip(checkpoint, scans, what))
        made = [opened(content) for name, content in found.items() if name.endswith(".gz")]
        size = sum(made.dataobj.get_unscaled().nbytes for made in made)
        assert size == whole_study.result_bytes(checkpoint, scans, what), what


def test_samples_have_no_whole_study(app):
    app.run().switch_page("pages/decompose.py").run()
    assert not app.exception
    assert BUTTON not in [button.label for button in app.button]


def test_the_selected_volume_is_predicted(app):
    choose_own_files(app.run())
    drop(app, ("LGE.nii", volume(0, frames=3).to_bytes(), "application/gzip"))
    next(slider for slider in app.main.slider if slider.label == "Volume of LGE").set_value(2)
    app.run().switch_page("pages/decompose.py").run()
    press(app)
    assert not app.exception
    told = json.loads(members(app.session_state[state.PREDICTED][1])["prediction.json"])
    assert "LGE: Volume 2 of 3 was predicted." in told["notes"]
    assert "LGE.nii" not in page_text(app).partition("The whole study")[2]


@pytest.mark.browser
@pytest.mark.slow
def test_the_zip_is_downloaded_in_a_browser(server, page, tmp_path):
    address, _ = server
    path = tmp_path / "LGE.nii"
    path.write_bytes(volume(1).to_bytes())
    page.goto(f"{address}/decompose")
    page.get_by_text("My files").click()
    page.locator(".st-key-drop input[type=file]").set_input_files(str(path))
    page.get_by_role("heading", name="The whole study").wait_for()
    page.get_by_role("button", name=BUTTON).locator("visible=true").first.click()
    page.get_by_role("button", name="Prediction (ZIP").locator("visible=true").first.wait_for()
    download(page, "Prediction (ZIP").save_as(tmp_path / "prediction.zip")
    mask = opened(members((tmp_path / "prediction.zip").read_bytes())["LGE_mask.nii.gz"])
    assert mask.shape == volume(1).shape
