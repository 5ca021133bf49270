"""The user's own files on every page, by Streamlit's own test client."""

import numpy as np
import pytest
from page_visits import ROOT, choose_own_files, drop, npy_file, open_app, page_text, png_file, shows

from dafnet_core.checkpoints.file import load
from dafnet_core.methods.decomposition import decompose
from dafnet_explorer import subjects, uploads
from tests.helpers.dicom_series import dicom_slice
from tests.helpers.world import grid, nifti, organs, picture


@pytest.fixture
def own(app):
    """The app with the area of the user's files."""
    return choose_own_files(app.run())


def stack(name, mask=False, **options):
    """A NIfTI of the synthetic patient on a grid, as an upload."""
    affine, shape = grid(**({"spacing": (2.0, 2.0, 8.0), "shape": (96, 96, 9)} | options))
    labels = organs(affine, shape)
    return name, nifti(labels if mask else picture(labels), affine), "application/octet-stream"


def roles(app):
    return {upload.plain_name: upload.role and str(upload.role) for upload in app.session_state["uploads"]}


def rows(app):
    """Texts of the area: what is said of each file."""
    return [m.value for m in app.main.expander[0].markdown]


def test_files_are_dropped_in_the_main_area_and_the_sidebar_has_an_entry_that_opens_it(app):
    app.run()
    assert not app.file_uploader
    choose_own_files(app)
    assert len(app.main.file_uploader) == 1
    assert not app.sidebar.file_uploader
    assert "Until then a built-in sample is shown" in page_text(app)
    drop(app, png_file("cine.png"))
    assert app.session_state["your-data"]
    app.switch_page("pages/decompose.py").run()
    assert not app.session_state["your-data"]  # closed on another page, as all is well
    assert "cine `cine.png`" in page_text(app)
    app.sidebar.button(key="open-your-data").click().run()
    assert app.session_state["your-data"]
    assert not app.exception


def test_files_that_are_dropped_at_once_are_assigned_by_their_names(own):
    drop(
        own,
        png_file("ann_LGE.png", 1),
        png_file("ann-cine_mask.png", 3, mask=True),
        png_file("annCine.png", 2),
        png_file("ann_T1w.png", 4),
        png_file("ann.png", 5),
    )
    assert not own.exception
    assert roles(own) == {
        "ann_LGE.png": "LGE",
        "ann-cine_mask.png": "mask of cine",
        "annCine.png": "cine",
        "ann_T1w.png": "T1",  # of another checkpoint
        "ann.png": None,
    }
    assert "this checkpoint is not for it" in rows(own)[3]
    assert {box.label for box in own.main.selectbox} >= {"Shows", "Label 1 means", "Label 2 means"}
    own.switch_page("pages/decompose.py").run()
    assert "`annCine.png`; `ann_LGE.png`" in page_text(own)
    assert "trained on cardiac phantom" in page_text(own)
    table = own.dataframe[0].value
    means = {name: table[table["modality"] == name]["mean"].iloc[0] for name in ("cine", "LGE")}
    assert "no mask was uploaded" in means["LGE"]
    assert means["cine"][0].isdigit()


def test_files_are_assigned_by_hand_and_one_that_showed_it_before_is_no_longer_used(own):
    drop(own, png_file("one.png", 1), png_file("two.png", 2))
    assert roles(own) == {"one.png": None, "two.png": None}
    assert "Say what `one.png`, `two.png` show" in page_text(own)
    assert "Until then a built-in sample is shown" in page_text(own)
    shows(own, "one.png", "cine")
    shows(own, "two.png", "cine")
    assert roles(own) == {"one.png": "not used", "two.png": "cine"}
    shows(own, "one.png", "mask of cine")
    assert not own.exception
    assert "values" in own.error[0].value  # noise is no mask: the row says so
    shows(own, "one.png", "LGE")
    assert not own.error
    assert "`two.png`; `one.png`" in page_text(own)


def test_a_new_file_of_a_modality_replaces_the_old_one_with_its_mask(own):
    drop(own, png_file("a_cine.png", 1), png_file("a_cine_mask.png", 2, mask=True), png_file("a_LGE.png", 3))
    drop(own, png_file("b_cine.png", 4))
    assert roles(own) == {"a_LGE.png": "LGE", "b_cine.png": "cine"}
    assert "`b_cine.png` replaced `a_cine.png` as cine." in page_text(own)
    assert "`a_cine_mask.png`, the mask of what was replaced, is gone too." in page_text(own)
    assert "`b_cine.png`; `a_LGE.png`" in page_text(own)
    drop(own, png_file("c_cine.png", 5), png_file("d_cine.png", 6))  # of two at once the first is taken
    assert roles(own) == {"a_LGE.png": "LGE", "c_cine.png": "cine", "d_cine.png": None}


def test_a_mask_is_kept_where_its_image_comes_later(own):
    drop(own, png_file("cine_mask.png", 2, mask=True))
    drop(own, png_file("cine.png", 1))
    assert roles(own) == {"cine_mask.png": "mask of cine", "cine.png": "cine"}


def test_a_refused_file_says_why_beside_it_and_loses_nothing(own):
    drop(own, png_file("good_cine.png", 1))
    drop(own, ("bad_cine.png", b"this is no picture at all, sorry", "image/png"))
    assert not own.exception
    (error,) = own.main.expander[0].error
    assert error.value.startswith("`bad_cine.png`: it is a text file")
    assert roles(own) == {"good_cine.png": "cine", "bad_cine.png": None}
    assert "`good_cine.png`" in page_text(own)
    own.session_state["your-data"] = False
    own.run()
    assert [e.value for e in own.main.error] == [error.value]  # also where the area is closed
    own.button(key="remove-1").click().run()
    assert not own.error
    assert roles(own) == {"good_cine.png": "cine"}


def test_too_many_files_are_left_out_and_said(own, monkeypatch):
    monkeypatch.setattr(uploads, "MOST_STACKS", 2)
    drop(own, png_file("cine.png", 1), png_file("LGE.png", 2), png_file("T1.png", 3))
    assert list(roles(own)) == ["cine.png", "LGE.png"]
    assert "`T1.png` is left out: 2 are kept at most; remove some first." in page_text(own)
    monkeypatch.setattr(uploads, "MOST_STACKS", 9)
    monkeypatch.setattr(uploads, "MOST_BYTES", 1000)
    drop(own, png_file("T2.png", 3))
    assert "`T2.png` is left out: with it your files would take" in page_text(own)


def test_files_outlive_pages_checkpoints_of_other_modalities_and_samples(own):
    drop(own, png_file("a_cine.png", 1), png_file("a_FLAIR.png", 2))
    own.switch_page("pages/traverse.py").run()
    assert "`a_cine.png`" in page_text(own)
    own.sidebar.selectbox(key="checkpoint").set_value("brain-film")
    own.run()
    assert not own.exception
    assert "`a_FLAIR.png`" in page_text(own)
    assert own.button_group(key="moved").options == ["FLAIR"]
    own.sidebar.selectbox(key="checkpoint").set_value("cardiac-spade")
    own.run()
    own.sidebar.button_group(key="source").set_value("Samples")
    own.run()
    assert "Phantom subject 1" in page_text(own)
    choose_own_files(own)
    assert own.button_group(key="moved").options == ["cine"]
    assert not own.exception
    assert roles(own) == {"a_cine.png": "cine", "a_FLAIR.png": "FLAIR"}


def test_where_no_file_fits_the_page_says_what_is_missing_and_offers_a_checkpoint(own):
    drop(own, png_file("a_T1.png", 1), png_file("a_FLAIR.png", 2))
    assert "this checkpoint was trained for cine or LGE, and they are T1 and FLAIR" in page_text(own)
    assert "Until then a built-in sample is shown" in page_text(own)
    own.button(key="offer-checkpoint").click().run()
    assert own.sidebar.selectbox(key="checkpoint").value == "brain-film"
    assert "`a_T1.png`; `a_FLAIR.png`" in page_text(own)
    own.sidebar.selectbox(key="checkpoint").set_value("cardiac-film")
    own.run()
    own.button(key="remove-0").click().run()
    own.button(key="remove-1").click().run()
    drop(own, png_file("cine.png", 1))
    own.sidebar.selectbox(key="checkpoint").set_value("brain-film")
    own.run()  # which has no sample to show meanwhile
    assert not own.exception
    assert "this checkpoint was trained for T1 or FLAIR, and they are cine" in page_text(own)
    assert own.button(key="offer-checkpoint").label == "Select cardiac-film"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cardiac-film", "cardiac-spade", "brain-spade"])
@pytest.mark.parametrize("files", [1, 2])
def test_every_page_takes_uploads_without_truth_by_both_decoders(app, few, name, files):
    app.query_params["checkpoint"] = name
    choose_own_files(app.run())
    modalities = load(ROOT / "checkpoints" / f"{name}.safetensors").config.modalities
    drop(app, *(png_file(f"{modality}.png", n) for n, modality in list(enumerate(modalities))[:files]))
    for page in ("start", "decompose", "traverse", "compare", "mix"):
        app.switch_page(f"pages/{page}.py").run()
        assert not app.exception, page
        assert not app.error, page
        assert ".png" in page_text(app), page


@pytest.mark.parametrize("page", ["align", "decompose", "edit", "mix", "quiz", "traverse"])
def test_one_modality_alone_is_enough_where_no_other_is_needed(own, page):
    drop(own, png_file("only_LGE.png", 1))
    own.switch_page(f"pages/{page}.py").run()
    assert not own.exception
    assert not own.error
    assert ("Only one modality is given" in page_text(own)) == (page in ("align", "decompose", "mix"))
    if page == "align":
        assert not own.session_state["your-data"]
        own.button(key="offer-own-data").click().run()
        assert own.session_state["your-data"]


def test_the_slice_of_the_user_is_mixed_without_scores_that_need_several_subjects(own):
    drop(own, png_file("cine.png", 1), png_file("LGE.png", 2))
    own.switch_page("pages/mix.py").run()
    assert not own.exception
    assert own.multiselect(key="mix-columns").options == ["cine", "LGE"]
    assert "no probe of the modality can be made" in page_text(own)
    (means,) = [c.value for c in own.main.caption if c.value.startswith("Mean over ")]
    assert "kept" in means
    assert "reached" not in means
    own.button_group(key="mix-images").set_value("subjects of a data set")
    own.run()
    assert not own.exception
    assert own.button_group(key="population").value == 8


def test_a_mask_is_mapped_by_a_table_that_the_user_sees(own):
    drop(own, png_file("cine.png", 1), png_file("cine_mask.png", 3, mask=True))
    own.switch_page("pages/decompose.py").run()
    assert not own.exception
    assert {"Label 1 means", "Label 2 means"} <= {box.label for box in own.main.selectbox}
    table = own.dataframe[0].value
    assert table["myocardium"].iloc[0][0].isdigit()
    assert "not in this slice" in table["RV blood pool"].iloc[0]


def test_uploaded_pixels_get_their_masks_back_at_their_own_size(checkpoint):
    from dafnet_core.data.readers import read

    scan = read(png_file("a.png", 1, (90, 150))[:2])
    subject = subjects.uploaded(checkpoint, {0: scan.slice()}, {})
    found = decompose(checkpoint.model, subject.images, subject.modalities)
    assert subject.native[0].placement.back(found.fused_masks[0], labels=True).shape == (90, 150)


# ---- arrays without a header ----


def shown_image(app):
    """The first image of the subject, whose whole scans `pages/decompose.py` keeps for the prediction."""
    return app.session_state["uploads"][0].scan.turned(app.session_state["uploads"][0].turn)


def test_pictures_without_a_header_are_rotated_and_mirrored(own):
    drop(own, png_file("cine.png", 1, (100, 80)), png_file("cine_mask.png", 1, (100, 80), mask=True))
    stored = own.session_state["uploads"][0].scan.values[0, 0]
    labels = own.session_state["uploads"][1].scan.values[0, 0]
    own.button(key="rotate-0").click().run()
    assert np.array_equal(shown_image(own).values[0, 0], np.rot90(stored, -1))
    own.button(key="mirror-0").click().run()
    own.button(key="rotate-0").click().run()
    expected = np.rot90(np.fliplr(np.rot90(stored, -1)), -1)
    assert np.array_equal(shown_image(own).values[0, 0], expected)
    assert "80 x 100 pixels" not in rows(own)[0]
    own.switch_page("pages/decompose.py").run()
    assert not own.exception
    assert "Turned by hand: mirrored." in page_text(own)
    assert not own.error  # the mask was turned with it
    assert own.dataframe[0].value["mean"].iloc[0][0].isdigit()
    assert labels.shape == stored.shape
    assert not [b for b in own.button if b.key == "rotate-1"]  # a mask follows its image


def test_volumes_without_a_header_are_cut_along_another_axis(own):
    drop(own, npy_file("cine.npy", (20, 60, 40)))
    assert "20 slices of 60 x 40 pixels" in rows(own)[0]
    own.button_group(key="plane-0").set_value(2)
    own.run()
    assert not own.exception
    assert "40 slices of 20 x 60 pixels" in rows(own)[0]
    assert own.sidebar.slider[0].max == 40
    assert own.sidebar.slider[0].value == 21
    own.switch_page("pages/decompose.py").run()
    assert "`cine.npy`, slice 21 of 40" in page_text(own)
    thin = npy_file("LGE.npy", (3, 60, 40))  # a cut along the others would be a strip
    drop(own, thin)
    assert "plane-1" not in [group.key for group in own.main.button_group]


def test_files_with_a_header_have_no_such_controls(own):
    drop(own, stack("cine.nii"))
    assert not [b.key for b in own.button if b.key and b.key.startswith(("rotate", "mirror"))]
    assert "axial" in rows(own)[0]


# ---- several stacks in one frame ----


def test_slices_of_the_second_stack_follow_the_first_by_position_and_say_where_they_lie(own):
    drop(own, stack("cine.nii"), stack("LGE.nii", spacing=(1.5, 1.5, 5.0), shape=(120, 120, 15)))
    slider = own.sidebar.slider(key="slice-of-cine-9")
    assert "cine slice 5 of 9, 0.0 mm; LGE slice 8 of 15, 0.0 mm away." in page_text(own)
    slider.set_value(6).run()
    assert "cine slice 6 of 9, 8.0 mm; LGE slice 10 of 15, 2.0 mm away." in page_text(own)  # the nearest lies at 10
    assert "`cine.nii`, slice 6 of 9, 8.0 mm; `LGE.nii`, slice 10 of 15, 2.0 mm away" in page_text(own)
    own.sidebar.toggle(key="link-slices").set_value(False).run()
    assert own.sidebar.slider(key="slice-of-LGE-15").value == 8
    assert "LGE slice 8 of 15, 8.0 mm away." in page_text(own)
    own.switch_page("pages/align.py").run()
    assert own.sidebar.slider(key="slice-of-cine-9").value == 6
    assert not own.exception


def test_stacks_without_positions_are_linked_by_number(own):
    drop(own, npy_file("cine.npy", (7, 60, 60)), npy_file("LGE.npy", (13, 60, 60)))
    assert "cine slice 4 of 7; LGE slice 7 of 13." in page_text(own)
    assert "Paired by number: not all headers say where slices lie." in page_text(own)
    own.sidebar.slider(key="slice-of-cine-7").set_value(7).run()
    assert "cine slice 7 of 7; LGE slice 13 of 13." in page_text(own)
    assert not own.exception


def test_a_stack_in_a_crossing_plane_is_left_out_with_the_reason(own):
    drop(own, stack("cine.nii"), stack("LGE.nii", spacing=(2.0, 8.0, 2.0), shape=(96, 9, 96)))
    assert not own.exception
    (error,) = own.main.expander[0].error
    assert "`cine.nii` is axial, `LGE.nii` coronal" in error.value
    assert "It is left out." in error.value
    own.switch_page("pages/decompose.py").run()
    assert "Only one modality is given" in page_text(own)


def test_a_mask_on_a_grid_of_its_own_lies_on_the_organ(own):
    own_grid = {"spacing": (1.5, 1.5, 8.0), "shape": (128, 128, 9), "order": (1, 0, 2), "signs": (-1, 1, -1)}
    drop(own, stack("cine.nii"), stack("cine_mask.nii", mask=True, **own_grid))
    own.switch_page("pages/decompose.py").run()
    assert not own.exception
    assert not own.error
    assert "grid of its own" in page_text(own)


def test_dicom_files_of_two_series_that_are_dropped_at_once_are_two_stacks(own):
    series = {f"1.2.3.{n}": [dicom_slice(k, SeriesInstanceUID=f"1.2.3.{n}") for k in range(4)] for n in range(2)}
    mixed = [file for pair in zip(*series.values(), strict=True) for file in pair]
    drop(own, *((f"{n:02d}.dcm", data, "application/dicom") for n, (_, data) in enumerate(mixed)))
    assert roles(own) == {"00.dcm and 3 more": None, "01.dcm and 3 more": None}
    assert not own.exception
    assert not own.error
    shows(own, "00.dcm and 3 more", "cine")
    shows(own, "01.dcm and 3 more", "LGE")
    assert "LGE slice 3 of 4, 0.0 mm away" in page_text(own)


def test_slices_of_uploads_are_brought_into_the_first_one_s_frame(checkpoint):
    """The core of it: LGE's field of view lies 24 mm to the side, and its organs appear where the cine shows them."""
    from dafnet_core.data.readers import read

    scans = [read(stack("a.nii")[:2]), read(stack("b.nii", centre=(24, -12, 0))[:2])]
    subject = subjects.uploaded(checkpoint, {i: scan.slice(4) for i, scan in enumerate(scans)}, {})
    bright = [image > 0 for image in subject.images]
    assert 2 * (bright[0] & bright[1]).sum() / (bright[0].sum() + bright[1].sum()) > 0.97
    back = subject.native[1].placement.back(bright[0].astype("uint8"), labels=True)
    own = scans[1].values[0, 4] > 50
    assert 2 * (back.astype(bool) & own).sum() / (back.sum() + own.sum()) > 0.9


# ---- after a reload ----


def test_a_session_whose_browser_tab_remembers_names_says_which_files_to_drop_again():
    app = open_app().run()
    app.session_state["remembered"] = ("a_cine.png", "b_LGE.png")  # as the tab's storage told
    app.run()
    assert "drop `a_cine.png`, `b_LGE.png` again" in page_text(app)
    assert "Phantom subject 1" in page_text(app)
    app.button(key="drop-again").click().run()
    assert "drop `a_cine.png`, `b_LGE.png` again" in page_text(app)
    drop(app, png_file("a_cine.png"))
    assert "drop `b_LGE.png` again" in page_text(app)
    app.button(key="forget-names").click().run()
    assert "again" not in page_text(app)
    assert not app.exception
