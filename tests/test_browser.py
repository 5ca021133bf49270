"""The app in a real browser, as a newcomer opens it."""

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from tools.screenshots import serve

pytestmark = pytest.mark.browser
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if not CHROMIUM and not os.environ.get("DAFNET_REQUIRE_BROWSER"):
    pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)", allow_module_level=True)


@pytest.fixture(scope="module")
def server():
    with serve() as found:
        yield found


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        chromium = p.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
        )
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser):
    """A fresh page; fails its test on any page error or any request that leaves this machine."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(20_000)
    errors, outside = [], []
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.on(
        "request",
        lambda r: (
            outside.append(r.url)
            if not r.url.startswith(("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:"))
            else None
        ),
    )
    yield page
    context.close()
    assert errors == []
    assert outside == []


def expect_picture(page, alt, timeout=20_000):
    from playwright.sync_api import expect

    picture = page.get_by_alt_text(alt)
    expect(picture.first).to_be_visible(timeout=timeout)
    page.wait_for_function("e => e.naturalWidth > 100", arg=picture.first.element_handle(), timeout=timeout)


def test_the_first_subject_s_factors_are_there_within_ten_seconds(server, page):
    start = time.monotonic()
    page.goto(server[0])
    expect_picture(page, "For each modality: the image, its anatomy", timeout=10_000)
    assert time.monotonic() - start < 10
    with open(f"/proc/{server[1]}/status") as status:
        resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    assert resident < 1.5 * 2**20  # kilobytes


def test_the_very_first_visit_may_be_a_link_to_a_page(page):
    with serve() as (url, _):
        page.goto(f"{url}/decompose")
        expect_picture(page, "Each modality's image and its anatomy channels")
        page.get_by_test_id("stSidebar").get_by_text("FiLM decoder. Trained for").wait_for()


def test_decompose_opens_by_its_link_with_its_choices(server, page):
    page.goto(f"{server[0]}/decompose?subject=3&slice=2&difficulty=hard")
    expect_picture(page, "Each modality's image and its anatomy channels")
    expect_picture(page, "Fixed and moving anatomies, the warp as a grid")
    expect_picture(page, "Masks from single, deformed and fused anatomies")
    expect_picture(page, "Own and crosswise reconstructions")
    page.get_by_text("Phantom subject 3, slice 2 of 8").first.wait_for()


def upload(page, files):
    page.get_by_role("radio", name="My files").click()
    for n, file in enumerate(files):
        page.locator(f".st-key-file-{('cine', 'LGE')[n]} input[type=file]").set_input_files(str(file))
        page.locator(f".st-key-file-{('cine', 'LGE')[n]}").get_by_text(Path(file).name).first.wait_for()


def downloaded_numbers(page, tmp_path):
    with page.expect_download() as waiting:
        page.get_by_role("button", name="All numbers (NPZ)").click()
    path = tmp_path / "numbers.npz"
    waiting.value.save_as(path)
    return np.load(path)


def expect_decomposed(page):
    page.get_by_text("This checkpoint was trained on").wait_for()
    for alt in (
        "Each modality's image and its anatomy",
        "Fixed and moving anatomies",
        "Masks from single",
        "Fused masks on the uploaded",
    ):
        expect_picture(page, alt)


def test_a_real_pair_is_taken_apart_and_its_numbers_come_down(server, page, real_data, tmp_path):
    import nibabel

    files = []
    for channel, name in ((0, "t1"), (2, "flair")):
        volume = nibabel.load(real_data / "open_ms_mni" / "imagesTr" / f"patient19_000{channel}.nii.gz")
        files.append(tmp_path / f"{name}.nii.gz")
        nibabel.save(volume.slicer[:, :, 70:71], files[-1])
    page.goto(f"{server[0]}/decompose")
    upload(page, files)
    expect_decomposed(page)
    with downloaded_numbers(page, tmp_path) as found:
        assert found["images"].shape == (2, 128, 128)
        assert set(np.unique(found["s"])) == {0, 1}
        assert found["native_fused_mask_cine"].shape == volume.shape[1::-1]  # the patient's own pixels
        assert "patient" not in str(found["about"])


def test_choices_and_uploads_survive_a_change_of_page(server, page, tmp_path):
    from PIL import Image

    page.goto(f"{server[0]}/?subject=5")
    page.get_by_text("Phantom subject 5, slice 4 of 8").first.wait_for()
    page.get_by_test_id("stSidebarNav").get_by_text("Decompose").click()
    expect_picture(page, "Each modality's image and its anatomy channels")
    page.get_by_text("Phantom subject 5, slice 4 of 8").first.wait_for()
    picture = np.random.default_rng(0).integers(0, 255, (90, 120), np.uint8)
    Image.fromarray(picture).save(tmp_path / "mine.png")
    upload(page, [tmp_path / "mine.png"])
    expect_picture(page, "Fused masks on the uploaded")
    page.get_by_test_id("stSidebarNav").get_by_text("Start").click()
    expect_picture(page, "For each modality: the image")
    page.get_by_test_id("stMain").get_by_text("mine.png").first.wait_for()


def test_a_dicom_file_as_both_modalities_agrees_with_itself(server, page, tmp_path):
    from pydicom.data import get_testdata_file

    file = get_testdata_file("MR_small.dcm", download=False)
    page.goto(f"{server[0]}/decompose")
    upload(page, [file, file])
    expect_decomposed(page)
    with downloaded_numbers(page, tmp_path) as found:
        assert np.array_equal(found["images"][0], found["images"][1])


def test_traverse_moves_the_image_with_a_slider_and_its_arrays_come_down(server, page, tmp_path):
    page.goto(f"{server[0]}/traverse?subject=2")
    expect_picture(page, "Rows of images of cine")
    yours = "The image, its reconstruction, and with your z"
    expect_picture(page, yours)
    before = page.get_by_alt_text(yours).get_attribute("src")
    page.locator(".st-key-z-0 input[type=range]").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "([alt, before]) => [...document.images].some(e => e.alt == alt && e.src != before && e.naturalWidth > 0)",
        arg=[yours, before],
    )
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Its arrays (NPZ)").click()
    waiting.value.save_as(tmp_path / "traverse.npz")
    with np.load(tmp_path / "traverse.npz") as found:
        assert found["images"].shape == (8, 7, 128, 128)
        assert "Phantom subject 2" in str(found["about"])


def test_probe_and_independence_are_judged_once_and_drawn(server, page):
    page.goto(f"{server[0]}/probe")
    page.get_by_text("Until then, from the checkpoint's card").wait_for()  # at once
    page.get_by_role("button", name="z of every image (CSV)").wait_for(timeout=180_000)
    chart = page.locator(".st-key-scatter .js-plotly-plot")
    chart.locator(".scatterlayer .point, .scatterlayer path.point").first.wait_for(state="attached")
    chart.scroll_into_view_if_needed()
    points = chart.locator(".scatterlayer path.point")
    points.first.click(force=True)
    expect_picture(page, "The chosen slice in all modalities")
    page.get_by_test_id("stSidebarNav").get_by_text("Independence").click()
    page.locator(".st-key-nulls .js-plotly-plot .barlayer").first.wait_for(state="attached")  # not judged again
    page.locator(".st-key-curve .js-plotly-plot").wait_for()


@pytest.mark.parametrize("width", [1400, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_wide_and_narrow_light_and_dark(server, browser, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    for name in ("decompose", "traverse", "mix", "probe", "independence", "truth", "compare", "checkpoints"):
        page.goto(f"{server[0]}/{name}")
        page.get_by_test_id("stMain").get_by_role("heading").first.wait_for()
        page.get_by_test_id("stSkeleton").first.wait_for(state="hidden")
        main = page.get_by_test_id("stMain")
        assert main.evaluate("e => e.scrollWidth - e.clientWidth") <= 0  # nothing sticks out of the page
    context.close()
