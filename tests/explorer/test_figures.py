"""Pictures and downloads hold what they are given, and say what made them."""

import io
import json

import numpy as np
from PIL import Image

from dafnet_core.drawing import LIGHT, Tile, channel, class_colours, coloured, grey, overlay, png, sheet, warp_lines
from dafnet_core.methods.decomposition import decompose
from dafnet_explorer import subjects
from dafnet_explorer.figures.charts import chart
from dafnet_explorer.figures.decompose import numbers
from dafnet_explorer.figures.downloads import as_json, table_csv


def test_tables_and_pictures_say_what_made_them():
    about = {"checkpoint_digest": "abc", "data": "upload", "steps": 7}
    text = table_csv([{"x": 1, "y": 2}, {"x": 3, "z": 4}], about).decode().splitlines()
    assert text == ['# checkpoint_digest: "abc"', '# data: "upload"', "# steps: 7", "x,y,z", "1,2,", "3,,4"]
    picture = Image.open(io.BytesIO(png(sheet([[Tile(np.zeros((8, 8, 3), np.uint8))]]), about)))
    assert (picture.text["checkpoint_digest"], picture.text["steps"]) == ("abc", "7")
    assert chart("z", about)["toImageButtonOptions"] == {"format": "svg", "filename": "dafnet-z-abc"}


def test_the_download_holds_every_array_and_opens_without_pickles(checkpoint):
    subject = subjects.sample(checkpoint, 1, 3, "hard")
    found = decompose(checkpoint.model, subject.images)
    with np.load(io.BytesIO(numbers(found, subject.truth, (), {"classes": checkpoint.config.classes}))) as file:
        assert np.array_equal(file["fused_masks"], found.fused_masks)
        assert np.array_equal(file["truth_LGE"], subject.truth[1])
        assert file["positions"].shape == (2, *found.images.shape[1:], 2)
        assert json.loads(str(file["about"]))["pairs_fixed_moving"] == [[0, 1], [1, 0]]


def test_sheets_draw_what_they_are_given():
    plain = np.linspace(-1, 1, 64, dtype=np.float32).reshape(8, 8)
    assert grey(plain)[0, 0].tolist() == [0, 0, 0]
    assert grey(plain)[7, 7].tolist() == [255, 255, 255]
    assert coloured(plain, -1, 1)[0, 0].tolist() != coloured(plain, -1, 1)[7, 7].tolist()
    labels = np.zeros((8, 8), np.uint8)
    labels[2, 3] = 1
    painted = overlay(grey(plain), labels, class_colours(2), opacity=1)
    assert painted[2, 3].tolist() == [0xD5, 0x5E, 0x00]
    assert np.array_equal(painted[labels == 0], grey(plain)[labels == 0])
    assert channel(labels.astype(float), "#ffffff")[2, 3].tolist() == [255, 255, 255]
    picture = sheet([[Tile(painted, "title", "caption"), None], [Tile(painted)]], ["row"], theme=LIGHT)
    again = Image.open(io.BytesIO(png(picture)))
    assert again.size == picture.size
    y, x = np.mgrid[:8, :8].astype(float)
    assert warp_lines(grey(plain), np.stack([x, y], -1), every=4, factor=3).shape == (24, 24, 3)


def test_a_download_holds_no_path_of_the_server():
    found = json.loads(as_json({"data": "/home/somebody/hearts", "n_subjects": 3}, {"data": "hearts"}))
    assert found == {"data": "hearts", "n_subjects": 3}
