"""The user's own files on every page, by Streamlit's own test client."""

import pytest
from page_visits import ROOT, page_text, png_file

from dafnet_core.checkpoints.file import load
from dafnet_core.methods.decomposition import decompose
from dafnet_explorer import subjects
from tests.helpers.world import grid, nifti, organs, picture


def test_a_checkpoint_without_samples_asks_for_files_and_takes_them(app):
    app.query_params["checkpoint"] = "brain-film"
    app.run()
    assert not app.exception
    assert "choose one file of T1 and one of FLAIR" in page_text(app)
    app.sidebar.file_uploader(key="file-FLAIR").upload(*png_file("flair.png", 1))
    app.run().switch_page("pages/traverse.py").run()
    assert not app.exception
    assert "flair.png" in page_text(app)


def test_uploads_are_decomposed_and_say_what_the_model_was_trained_for(app):
    app.run()
    app.sidebar.button_group(key="source").set_value("My files")
    app.run()
    assert "Upload one file per modality" in page_text(app)
    app.sidebar.file_uploader(key="file-cine").upload(*png_file("left.png", 1))
    app.sidebar.file_uploader(key="file-LGE").upload(*png_file("right.png", 2))
    app.run().switch_page("pages/decompose.py").run()
    assert not app.exception
    assert "trained on cardiac phantom" in page_text(app)
    assert "left.png" in page_text(app)
    assert "no mask was uploaded" in app.dataframe[0].value["mean"].iloc[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cardiac-film", "cardiac-spade", "brain-spade"])
@pytest.mark.parametrize("files", [1, 2])
def test_every_page_takes_uploads_without_truth_by_both_decoders(app, few, name, files):
    app.query_params["checkpoint"] = name
    app.run()
    if name.startswith("cardiac"):
        app.sidebar.button_group(key="source").set_value("My files")
        app.run()
    for n, modality in list(enumerate(load(ROOT / "checkpoints" / f"{name}.safetensors").config.modalities))[:files]:
        app.sidebar.file_uploader(key=f"file-{modality}").upload(*png_file(f"{modality}.png", n))
    app.run()
    for page in ("start", "decompose", "traverse", "compare"):
        app.switch_page(f"pages/{page}.py").run()
        assert not app.exception, page
        assert not app.error, page
        assert ".png" in page_text(app), page


def test_one_file_alone_is_enough(app):
    app.run()
    app.sidebar.button_group(key="source").set_value("My files")
    app.run()
    app.sidebar.file_uploader(key="file-LGE").upload(*png_file("only.png", 2))
    app.run().switch_page("pages/decompose.py").run()
    assert not app.exception
    assert "Only one modality is given" in page_text(app)


@pytest.mark.parametrize("page", ["align", "edit", "quiz", "traverse"])
def test_one_modality_alone_can_be_edited(app, page):
    app.run().sidebar.button_group(key="source").set_value("My files")
    app.run()
    app.sidebar.file_uploader(key="file-LGE").upload(*png_file("image.png", 1))
    app.run().switch_page(f"pages/{page}.py").run()
    assert not app.exception
    assert not app.error
    assert ("nothing to align" in page_text(app)) == (page == "align")


def test_a_mask_is_mapped_by_a_table_that_the_user_sees(app):
    app.run()
    app.sidebar.button_group(key="source").set_value("My files")
    app.run()
    app.sidebar.file_uploader(key="file-cine").upload(*png_file("image.png", 1))
    app.run()
    app.sidebar.file_uploader(key="mask-cine").upload(*png_file("mask.png", 3, mask=True))
    app.run().switch_page("pages/decompose.py").run()
    assert not app.exception
    assert {"Label 1 means", "Label 2 means"} <= {box.label for box in app.sidebar.selectbox}
    table = app.dataframe[0].value
    assert table["myocardium"].iloc[0][0].isdigit()
    assert "not in this slice" in table["RV blood pool"].iloc[0]


def test_a_refused_file_says_why_and_loses_nothing(app):
    app.run()
    app.sidebar.button_group(key="source").set_value("My files")
    app.run()
    app.sidebar.file_uploader(key="file-cine").upload(*png_file("good.png", 1))
    app.sidebar.file_uploader(key="file-LGE").upload("bad.png", b"this is no picture at all, sorry", "image/png")
    app.run()
    assert not app.exception
    assert len(app.error) == 1
    assert "bad.png" in app.error[0].value
    assert "good.png" in page_text(app)


def test_uploaded_pixels_get_their_masks_back_at_their_own_size(checkpoint):
    from dafnet_core.data.readers import read

    scan = read(png_file("a.png", 1, (90, 150))[:2])
    subject = subjects.uploaded(checkpoint, {0: scan.slice()}, {})
    found = decompose(checkpoint.model, subject.images, subject.modalities)
    assert subject.native[0].placement.back(found.fused_masks[0], labels=True).shape == (90, 150)


# ---- several stacks in one frame ----


def stack(name, mask=False, **options):
    """A NIfTI of the synthetic patient on a grid, as an upload."""
    affine, shape = grid(**({"spacing": (2.0, 2.0, 8.0), "shape": (96, 96, 9)} | options))
    labels = organs(affine, shape)
    return name, nifti(labels if mask else picture(labels), affine), "application/octet-stream"


def with_files(app, **files):
    app.run().sidebar.button_group(key="source").set_value("My files")
    app.run()
    for slot, file in files.items():
        app.sidebar.file_uploader(key=f"file-{slot}").upload(*file)
    return app.run()


def test_slices_of_the_second_stack_follow_the_first_by_position(app):
    with_files(app, cine=stack("cine.nii"), LGE=stack("lge.nii", spacing=(1.5, 1.5, 5.0), shape=(120, 120, 15)))
    assert "Slice 8 of 15, 0.0 mm from that of cine." in page_text(app)
    app.sidebar.slider(key="take-cine-slice-(1, 9, 96, 96)").set_value(6).run()
    assert "Slice 10 of 15, 2.0 mm from that of cine." in page_text(app)  # at 8 mm; the nearest lies at 10
    app.sidebar.toggle(key="link-slices").set_value(False).run()
    assert app.sidebar.slider(key="take-LGE-slice-(1, 15, 120, 120)").value == 8
    assert not app.exception


def test_a_stack_in_a_crossing_plane_is_left_out_with_the_reason(app):
    with_files(app, cine=stack("cine.nii"), LGE=stack("lge.nii", spacing=(2.0, 8.0, 2.0), shape=(96, 9, 96)))
    assert not app.exception
    (error,) = app.error
    assert "`cine.nii` is axial, `lge.nii` coronal" in error.value
    assert "It is left out." in error.value
    app.switch_page("pages/decompose.py").run()
    assert "Only one modality is given" in page_text(app)


def test_a_mask_on_a_grid_of_its_own_lies_on_the_organ(app):
    with_files(app, cine=stack("cine.nii"))
    own = stack("mask.nii", mask=True, spacing=(1.5, 1.5, 8.0), shape=(128, 128, 9), order=(1, 0, 2), signs=(-1, 1, -1))
    app.sidebar.file_uploader(key="mask-cine").upload(*own)
    app.run().switch_page("pages/decompose.py").run()
    assert not app.exception
    assert not app.error
    assert "grid of its own" in page_text(app)


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
