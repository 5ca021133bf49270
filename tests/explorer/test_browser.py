"""The app in a real browser, as a newcomer opens it."""

import io
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from browser_visits import download, expect_another, expect_picture, source, upload
from streamlit.proto.BackMsg_pb2 import BackMsg

from dafnet_core.data.formats.scan import clean_name
from tools.screenshots import PAGES, before_after, go_to, serve

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_the_first_subject_s_factors_are_there_soon_after_the_server(server, page):
    """The first visit imports PyTorch, which takes most of the time."""
    start = time.monotonic()
    page.goto(server[0])
    expect_picture(page, "For each modality: the image, its anatomy", timeout=16_000)
    assert time.monotonic() - start < 16
    with open(f"/proc/{server[1]}/status") as status:
        resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    assert resident < 1.5 * 2**20  # kilobytes


def test_the_very_first_visit_may_be_a_link_to_a_page(page):
    with serve() as (url, _):
        page.goto(f"{url}/decompose")
        expect_picture(page, "Each modality's image and its anatomy channels")
        page.get_by_test_id("stSidebar").get_by_text("FiLM decoder. Trained for").wait_for()


def test_before_and_after_stand_side_by_side_in_one_picture(server, browser):
    picture = before_after(browser, server[0])
    assert picture.width > 3 * picture.height
    half = picture.width // 2
    assert np.ptp(np.asarray(picture)[:, :half]) == np.ptp(np.asarray(picture)[:, half:]) == 255


def test_decompose_opens_by_its_link_with_its_choices(server, page):
    page.goto(f"{server[0]}/decompose?subject=3&slice=2&difficulty=hard")
    expect_picture(page, "Each modality's image and its anatomy channels")
    expect_picture(page, "Fixed and moving anatomies, the warp as a grid")
    expect_picture(page, "Masks from single, deformed and fused anatomies")
    expect_picture(page, "Own and crosswise reconstructions")
    page.get_by_text("Phantom subject 3, slice 2 of 8").first.wait_for()


def downloaded_numbers(page, tmp_path):
    path = tmp_path / "numbers.npz"
    download(page, "All numbers (NPZ)").save_as(path)
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


def test_a_real_pair_is_decomposed_and_its_numbers_are_downloaded(server, page, real_data, tmp_path):
    import nibabel

    files = []
    for channel, name in ((0, "cine"), (2, "lge")):
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
    go_to(page, "Decompose")
    expect_picture(page, "Each modality's image and its anatomy channels")
    page.get_by_text("Phantom subject 5, slice 4 of 8").first.wait_for()
    picture = np.random.default_rng(0).integers(0, 255, (90, 120), np.uint8)
    Image.fromarray(picture).save(tmp_path / "my-cine.png")
    upload(page, [tmp_path / "my-cine.png"])
    expect_picture(page, "Fused masks on the uploaded")
    go_to(page, "Start")
    expect_picture(page, "For each modality: the image")
    page.get_by_test_id("stMain").locator("code:visible", has_text="my-cine.png").first.wait_for()


def test_a_dicom_file_as_both_modalities_agrees_with_itself(server, page, tmp_path):
    from pydicom.data import get_testdata_file

    files = [tmp_path / f"{name}.dcm" for name in ("cine", "LGE")]  # of one series, but their names tell them apart
    for file in files:
        file.write_bytes(Path(get_testdata_file("MR_small.dcm", download=False)).read_bytes())
    page.goto(f"{server[0]}/decompose")
    upload(page, files)
    expect_decomposed(page)
    with downloaded_numbers(page, tmp_path) as found:
        assert np.array_equal(found["images"][0], found["images"][1])


def test_traverse_moves_the_image_with_a_slider_and_its_arrays_are_downloaded(server, page, tmp_path):
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
    download(page, "Its arrays (NPZ)").save_as(tmp_path / "traverse.npz")
    with np.load(tmp_path / "traverse.npz") as found:
        assert found["images"].shape == (8, 7, 128, 128)
        assert "Phantom subject 2" in str(found["about"])


def test_probe_and_independence_share_one_evaluation(server, page):
    page.goto(f"{server[0]}/probe")
    page.get_by_text("Until then, from the checkpoint's card").wait_for()  # at once
    page.get_by_role("button", name="z of every image (CSV)").wait_for(timeout=180_000)
    chart = page.locator(".st-key-scatter .js-plotly-plot")
    chart.locator(".scatterlayer .point, .scatterlayer path.point").first.wait_for(state="attached")
    chart.scroll_into_view_if_needed()
    points = chart.locator(".scatterlayer path.point")
    points.first.click(force=True)
    expect_picture(page, "The selected slice in all modalities")
    thumbnails = page.locator(".st-key-thumbnails")
    said = page.get_by_text("subject phantom_s9000_").last.inner_text()
    thumbnails.locator("button").nth(5).click()
    page.wait_for_function("said => !document.body.innerText.includes(said)", arg=said)
    thumbnails.locator("button[aria-pressed=true]").wait_for()
    chart.get_by_text("shown below").wait_for()  # the ring around its point
    go_to(page, "Independence")
    page.locator(".st-key-nulls .js-plotly-plot .barlayer").first.wait_for(state="attached")  # not evaluated again
    page.locator(".st-key-curve .js-plotly-plot").wait_for()


def test_a_link_opens_the_same_picture_in_a_fresh_browser(server, browser, page):
    page.goto(f"{server[0]}/traverse?subject=3&slice=5&moved=LGE&steps=5")
    yours = "The image, its reconstruction, and with your z"
    before = source(page, yours)
    page.locator(".st-key-z-2 input[type=range]").focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    moved = expect_another(page, yours, before)
    page.wait_for_url("**z-2=**")
    page.wait_for_timeout(500)
    moved = source(page, yours)
    link = page.url
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    fresh = context.new_page()
    fresh.goto(link)
    sheet = "Rows of images of LGE"
    assert source(fresh, yours) == moved
    assert source(fresh, sheet) == source(page, sheet)
    shown = [p.get_by_alt_text(yours).first for p in (page, fresh)]
    for picture in shown:
        picture.evaluate("e => e.scrollIntoView({block: 'center'})")  # the browser enlarges it in tiles of the screen
    pictures = [picture.screenshot() for picture in shown]
    assert pictures[0] == pictures[1]
    context.close()


def test_the_quiz_asks_shows_and_counts(server, page):
    page.goto(f"{server[0]}/quiz?quiz-seed=3&question=2")
    expect_picture(page, "An image before and after one factor was changed")
    page.get_by_test_id("stRadio").get_by_text("the warp").click()
    page.get_by_role("button", name="Show the answer").click()
    expect_picture(page, "What changed with")
    page.get_by_text("of 1 right.").wait_for()
    page.get_by_role("button", name="Next question").click()
    expect_picture(page, "An image before and after one factor was changed")
    page.wait_for_url("**question=3**")


def test_a_report_opens_offline(server, browser, page, tmp_path):
    page.goto(f"{server[0]}/report?subject=2")
    download(page, "Report (ZIP)").save_as(tmp_path / "report.zip")
    with zipfile.ZipFile(tmp_path / "report.zip") as file:
        file.extractall(tmp_path)
    context = browser.new_context(offline=True)
    opened = context.new_page()
    opened.goto((tmp_path / "report.html").as_uri())
    opened.get_by_role("heading", name="Masks").wait_for()
    assert opened.evaluate("[...document.images].every(e => e.complete && e.naturalWidth > 100)")
    assert opened.evaluate("document.images.length") >= 6
    context.close()


@pytest.mark.parametrize("width", [1400, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_wide_and_narrow_light_and_dark(server, browser, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    for name in PAGES:
        page.goto(f"{server[0]}/{'' if name == 'start' else name}")
        page.get_by_test_id("stMain").get_by_role("heading").first.wait_for()
        page.get_by_test_id("stSkeleton").first.wait_for(state="hidden")
        main = page.get_by_test_id("stMain")
        assert main.evaluate("e => e.scrollWidth - e.clientWidth") <= 0  # nothing sticks out of the page
    context.close()


@pytest.mark.trust
def test_a_second_file_is_not_lost_when_the_first_one_s_run_begins(server, page):
    """The browser asks where to send the second file just before it says that the first one is there."""
    asked, sent = [], []

    def connect(browser):
        server = browser.connect_to_server()

        def ask(message):
            kind = BackMsg.FromString(message).WhichOneof("type")
            asked.extend([message] * (kind == "file_urls_request"))
            if asked[1:] and kind == "rerun_script":
                server.send(asked.pop())
            if not (asked[1:] and asked[1] is message):
                server.send(message)

        browser.on_message(ask)

    page.route_web_socket("**/_stcore/stream", connect)
    page.route("**/_stcore/upload_file/**", lambda route: route.continue_() if sent else sent.append(route))
    page.goto(f"{server[0]}/traverse")
    expect_picture(page, "Images over z")
    page.get_by_role("radio", name="My files").click()
    for name in ("cine", "LGE"):
        np.save(content := io.BytesIO(), np.arange(4800.0).reshape(60, 80))
        file = {"name": f"{name}.npy", "mimeType": "application/octet-stream", "buffer": content.getvalue()}
        page.locator(".st-key-drop input[type=file]").set_input_files(file)
    for _ in range(200):
        if asked[1:] and sent:
            break
        page.wait_for_timeout(50)
    sent[0].continue_()
    page.get_by_test_id("stMain").get_by_text("cine.npy; LGE.npy").wait_for()


@pytest.mark.trust
def test_names_of_files_are_shown_as_they_are_and_never_as_markup(server, page):
    """Also of a refused file, whose sentence begins with its name."""
    from playwright.sync_api import expect

    name = "1. **x** _y_ [a](b) www.evil.example a@evil.example :lock: $x$ --<img src=x> cine.npy"
    np.save(content := io.BytesIO(), np.arange(4800.0).reshape(60, 80))
    page.goto(f"{server[0]}/decompose")
    page.get_by_role("radio", name="My files").click()
    contents = content.getvalue(), b"no picture"
    files = [{"name": name, "mimeType": "application/octet-stream", "buffer": data} for data in contents]
    page.locator(".st-key-drop input[type=file]").set_input_files(files)
    shown = clean_name(name)
    area, main = page.locator(".st-key-your-data"), page.get_by_test_id("stMain")
    area.get_by_role("alert").get_by_text(shown).wait_for()
    main.get_by_text("This checkpoint was trained on").wait_for()
    expect(main.locator("code", has_text=shown)).to_have_count(4)  # a row each, the refusal, and what is shown
    for part in ("a[href*=evil]", "img[src=x]", ".katex", "[data-testid=stIconMaterial]:text-is('lock')"):
        assert page.locator(part).count() == 0, part
    for part, text in (("strong", "x"), ("em", "y"), ("a", "a")):
        assert page.locator(part).get_by_text(text, exact=True).count() == 0, part
