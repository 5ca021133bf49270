"""The spacing that CASE.json beside PNG and TIFF files gives, as nnU-Net's Tiff3DIO reads it."""

import json

import numpy as np
import pytest
from PIL import Image

from dafnet_core.data.config import DataConfig
from dafnet_core.data.sources import training_data
from tests.helpers.nnunet_folder import Folder, bright, marked, shown_by


def stack(path, volume):
    """Write (slices, rows, columns) as the pages of one TIFF, or one slice as a PNG."""
    path.parent.mkdir(exist_ok=True)
    pages = [Image.fromarray(page.astype(np.uint8)) for page in volume]
    pages[0].save(path, **({"save_all": True, "append_images": pages[1:]} if len(pages) > 1 else {}))


def pictures(root, ending=".tif", slices=3, **sidecars):
    """A case of two channels with one label; sidecars by folder."""
    folder = Folder(root, file_ending=ending)
    labels = marked(slices)
    for channel in range(2):
        stack(root / "imagesTr" / f"a_000{channel}{ending}", shown_by(labels))
    stack(root / "labelsTr" / f"a{ending}", labels)
    for kind, content in sidecars.items():
        (root / kind / "a.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


@pytest.mark.parametrize(("ending", "slices"), [(".tif", 3), (".tiff", 3), (".png", 1)])
def test_the_spacing_has_the_order_of_the_array(tmp_path, ending, slices):
    spacing = {"spacing": [5, 2.0, 1.0]}  # rows are twice as far apart as columns
    folder = pictures(tmp_path / "set", ending, slices, imagesTr=spacing, labelsTr=spacing)
    (study,) = folder.read(size=64, spacing=1.0).studies
    assert study.images[0].shape == (1, slices, 64, 64)
    assert study.spacing == ((1.0, 1.0), (1.0, 1.0))
    rows, columns = np.nonzero(study.masks[0][0])
    assert np.ptp(rows) + 1 == 10  # 5 rows of 2 mm
    assert np.ptp(columns) + 1 == 6  # 6 columns of 1 mm
    assert rows.min() == 8
    assert columns.min() == 8 + 6  # 48 mm in the middle of 64
    for images, mask in zip(study.images, study.masks, strict=True):
        assert np.mean(bright(images) != mask) < 0.01  # pixels of the outline, which interpolation moves


def test_without_a_sidecar_the_spacing_stays_unknown(tmp_path):
    folder = pictures(tmp_path / "set")
    with_spacing, without = (folder.read(size=48, spacing=spacing).studies[0] for spacing in (1.0, None))
    assert with_spacing.spacing == without.spacing == (None, None)
    assert np.array_equal(with_spacing.images[0], without.images[0])


def test_training_at_a_spacing_works(tmp_path):
    folder = Folder(tmp_path / "set", file_ending=".tif")
    for name in "abc":
        for channel in range(2):
            stack(folder.root / "imagesTr" / f"{name}_000{channel}.tif", shown_by(marked()))
        stack(folder.root / "labelsTr" / f"{name}.tif", marked())
        (folder.root / "imagesTr" / f"{name}.json").write_text('{"spacing": [5, 2, 2]}')
    data = training_data(DataConfig(source=str(folder.root), size=64, spacing=1.0), 0)
    assert sorted(data.source.names()) == ["a", "b", "c"]  # the JSON files are no cases
    rows = np.nonzero(data.train.studies[0].masks[0][0])[0]
    assert np.ptp(rows) + 1 == 10


@pytest.mark.parametrize(
    "content",
    ["no json", "[1, 1, 1]", {"spacing": [1, 1]}, {"spacing": [5, 0, 1]}, {"spacing": [5, -1, 1]},
     {"Spacing": [5, 1, 1]}, {"spacing": [5, "1", 1]}, {"spacing": [5, True, 1]}, '{"spacing": [5, Infinity, 1]}',
     '{"spacing": [5, NaN, 1]}'],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["imagesTr", "labelsTr"])
def test_a_sidecar_that_gives_no_spacing_is_refused_by_name(tmp_path, kind, content):
    assert f"{kind}/a.json: " in pictures(tmp_path / "set", **{kind: content}).refusal()


def test_sidecars_of_image_and_label_that_disagree_are_refused(tmp_path):
    message = pictures(tmp_path / "set", imagesTr={"spacing": [5, 2, 1]}, labelsTr={"spacing": [5, 1, 2]}).refusal()
    for part in ("labelsTr/a.json", "imagesTr/a.json", "[5.0, 1.0, 2.0] mm", "[5.0, 2.0, 1.0] mm"):
        assert part in message


def test_labels_of_single_channels_have_the_sidecar_of_their_case(tmp_path):
    folder = pictures(tmp_path / "set", imagesTr={"spacing": [5, 2, 1]})
    (folder.root / "labelsTr" / "a.tif").rename(folder.root / "labelsTr" / "a_0001.tif")
    assert folder.read(size=64, spacing=1.0).studies[0].masks[1].any()
    (folder.root / "labelsTr" / "a.json").write_text('{"spacing": [5, 1, 1]}')
    assert "labelsTr/a.json" in folder.refusal()


def test_json_files_beside_files_with_a_header_are_left_alone(folder):
    folder.case("a")
    for kind in ("imagesTr", "labelsTr"):
        (folder.root / kind / "a.json").write_text('{"EchoTime": 0.09}')  # of BIDS
    assert np.array_equal(bright(folder.read().studies[0].images[0]), folder.read().studies[0].masks[0] == 1)


def test_a_table_of_files_has_sidecars_too(tmp_path):
    folder = pictures(tmp_path / "set", imagesTr={"spacing": [5, 2, 1]})
    images = [f"imagesTr/a_000{channel}.tif" for channel in range(2)]
    folder.describe(dataset={"somebody": {"images": images, "label": "labelsTr/a.tif"}})
    rows = np.nonzero(folder.read(size=64, spacing=1.0).studies[0].masks[0][0])[0]
    assert np.ptp(rows) + 1 == 10
