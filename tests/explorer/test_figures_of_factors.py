"""Pictures, tables and files of the pages Traverse, Edit and Align."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from dafnet_core.analysis.directions import Direction
from dafnet_core.analysis.editing import realign
from dafnet_core.analysis.misregistration import Range
from dafnet_core.analysis.traversal import Traversal
from dafnet_core.drawing import DARK, LIGHT, Bar, Tile, coloured, gif, sheet
from dafnet_core.methods.decomposition import decompose
from dafnet_explorer import provenance, subjects
from dafnet_explorer.figures.align import range_figure, warp_animation, warp_rows, warp_table
from dafnet_explorer.figures.charts import linked_heatmaps
from dafnet_explorer.figures.downloads import table_csv
from dafnet_explorer.figures.traverse import (
    directions_sheet,
    effect_figure,
    effect_names,
    effect_rows,
    kept_sentence,
    regions_of,
    traverse_animation,
    traverse_sheet,
)

ABOUT = {"checkpoint_digest": "abcdef0123", "data": "upload"}
LABELS = np.repeat([0, 1], 32).reshape(8, 8)
REGIONS = LABELS, ("liver", "blood", "nowhere")


@pytest.fixture
def traversal():
    """Dimension 1 brightens the blood by 0.8, dimension 2 does nothing."""
    values = np.linspace(-3, 3, 5)
    images = np.zeros((2, 5, 8, 8), np.float32)
    images[0] += (values / 6 * 0.8)[:, None, None] * (LABELS == 1)
    return Traversal(values, np.zeros(2), images)


@pytest.fixture(scope="module")
def found(checkpoint):
    subject = subjects.sample(checkpoint, 0, 3, "standard")
    return subject, decompose(checkpoint.model, subject.images)


def test_a_colour_bar_shows_the_whole_scale_below_its_tile():
    pixels = coloured(np.zeros((8, 8)), 0, 1)
    plain = sheet([[Tile(pixels)]], side=200)
    picture = sheet([[Tile(pixels, bar=Bar("Viridis", "0", "5.4", "pixels"))]], side=200)
    assert picture.height > plain.height
    assert picture.info["tiles"] == plain.info["tiles"]
    _, _, x, y, width, height = picture.info["tiles"][0]
    strip = np.asarray(picture)[y + height + 6, x : x + width]
    ends = coloured(np.array([[0.0, 1.0]]), 0, 1)[0]
    assert np.abs(strip[[0, -1]].astype(int) - ends).max() <= 4
    assert len(np.unique(strip, axis=0)) > 100


def test_an_animation_plays_there_and_back_and_says_what_made_it():
    frames = [Image.new("RGB", (20, 10), (k * 60, 0, 0)) for k in range(4)]
    with Image.open(io.BytesIO(gif(frames, ABOUT))) as file:
        assert (file.format, file.size, file.n_frames, file.info["loop"]) == ("GIF", (20, 10), 6, 0)
        assert json.loads(file.info["comment"]) == ABOUT
        reds = []
        for k in range(6):
            file.seek(k)
            reds.append(file.convert("RGB").getpixel((5, 5))[0])
    assert reds == pytest.approx([0, 60, 120, 180, 120, 60], abs=3)


def test_a_traversal_becomes_an_animation(traversal):
    data = traverse_animation(traversal.images[0], [f"z1 = {v:+.1f}" for v in traversal.values], LIGHT, ABOUT)
    with Image.open(io.BytesIO(data)) as file:
        assert file.n_frames == 8
        assert file.width > 2 * 256


def test_a_warp_becomes_an_animation_from_the_moving_image_to_the_deformed_one(found):
    _, decomposition = found
    data = warp_animation(decomposition, 0, decomposition.offsets[0], ["#ff0000", *[None] * 7], DARK, ABOUT)
    with Image.open(io.BytesIO(data)) as file:
        first = np.asarray(file.convert("RGB")).astype(int)
        assert file.n_frames == 32
        file.seek(16)
        whole = np.asarray(file.convert("RGB")).astype(int)
    assert np.abs(whole - first).mean() > 1


def test_names_and_numbers_of_effects_are_those_of_the_traversal(traversal):
    assert effect_names(traversal, REGIONS) == ["blood brighter", "hardly anything"]
    directions = Direction("z1", np.eye(2)[0]), Direction("PC1", np.eye(2)[1], "90% of the variance")
    rows = effect_rows(traversal, directions, REGIONS, np.array([[0.9, 0.8], [1, 1]]))
    assert [row["direction"] for row in rows] == ["z1", "PC1"]
    assert rows[0]["blood (intensity)"] == pytest.approx(0.8)
    assert rows[0]["channel kept at 3 (share)"] == 0.8
    assert "nowhere (intensity)" not in rows[0]
    lines = table_csv(rows, ABOUT).decode().splitlines()
    (first, second) = csv.DictReader(line for line in lines if not line.startswith("#"))
    assert [float(value) for title, value in first.items() if "(" in title]  # numbers are numbers
    assert second["effect"] == "hardly anything"
    figure = effect_figure(traversal, 0, "z1", REGIONS, dark=True)
    assert dict(zip(figure.data[0].y, figure.data[0].x, strict=True)) == pytest.approx({"liver": 0, "blood": 0.8})
    assert figure.layout.xaxis.title.text == "mean change of intensity, z1 from -3 to 3"
    assert figure.layout.yaxis.title.text


def test_regions_are_true_tissues_where_they_are_known_and_else_organs_and_channels(found, checkpoint):
    subject, decomposition = found
    classes = checkpoint.config.classes
    labels, names = regions_of(subject, decomposition, 0, classes)
    assert labels is subject.tissues[0]
    assert names[int(labels[64, 64])] in ("LV blood", "papillary muscle", "myocardium")
    for truth in (subject.truth, {}):
        unknown = replace(subject, tissues={}, tissue_names=(), truth=truth)
        labels, names = regions_of(unknown, decomposition, 0, classes)
        mask = truth.get(0, decomposition.single[0])
        assert names == (*classes, *(f"channel {c}" for c in range(1, 9)))
        assert np.array_equal(labels[mask > 0], mask[mask > 0])
        assert np.array_equal(labels[mask == 0] - 4, decomposition.s[0].argmax(0)[mask == 0])
    other = replace(decomposition, target="LGE")  # whose masks of the cine mean nothing
    assert (regions_of(unknown, other, 0, classes)[0] >= 4).all()


def test_sheets_of_traversals_have_a_row_for_each_direction_and_room_for_its_name(traversal):
    plain = traverse_sheet(traversal, np.zeros(2), None, "number", LIGHT)
    named = traverse_sheet(traversal, np.zeros(2), None, "number", LIGHT, ["liver and spleen brighter", "nothing"])
    assert len(plain.info["tiles"]) == len(named.info["tiles"]) == 2 * 7
    assert named.width > plain.width
    one = replace(traversal, images=traversal.images[:1])
    along = directions_sheet(one, [Direction("PC1", np.eye(2)[0], "90% of the variance")], ["nothing"], LIGHT)
    assert len(along.info["tiles"]) == 7


def test_the_sentence_on_positions_has_the_measured_shares():
    said = kept_sentence(0.987, np.array([[0.99, 0.97], [0.9, 0.96]]))
    assert "keep **95.5%**" in said
    assert "fewest, 90.0%, along z2" in said
    assert "keeps 98.7%" in said


def test_every_map_has_a_colour_bar_and_every_axis_a_title():
    values = np.zeros((8, 8))
    panels = [(f"map {n}", values, "Viridis", 0, 1) for n in range(4)]
    figure = linked_heatmaps(panels, np.full((8, 8), "here"), dark=False)
    assert all(trace.showscale is not False for trace in figure.data)
    assert len({(trace.colorbar.x, trace.colorbar.y) for trace in figure.data}) == 4  # one beside each
    assert all(axis.title.text == "x, pixels" for axis in figure.select_xaxes())
    assert [axis.title.text for axis in figure.select_yaxes()] == ["y, pixels", "", "y, pixels", ""]
    amounts, flat = np.array([0.0, 10]), np.full((2, 1), 0.9)
    figure = range_figure(Range(amounts, flat, flat, flat, flat), dark=False)
    assert all(axis.title.text for axis in (*figure.select_xaxes(), *figure.select_yaxes()))


def test_a_table_of_warps_has_numbers_in_its_file_and_reasons_on_the_page(found, checkpoint):
    subject, decomposition = found
    warps = {"yours": realign(checkpoint.model, decomposition, 0, decomposition.offsets[0])}
    rows = warp_rows(decomposition, 0, warps, subject.truth, 4, subject.sampling[0, 1])
    numbers = {title: value for title, value in rows[0].items() if title != "warp"}
    assert all(type(value) in (int, float) for value in numbers.values())
    assert {"crosswise L1 (intensity)", "error of position (pixels)", "folded (pixels)"} < numbers.keys()
    (text,) = warp_table(rows, has_truth=True, knows_warp=True)
    assert text["error of position (pixels)"] == f"{rows[0]['error of position (pixels)']:.3f}"
    unknown = warp_rows(decomposition, 0, warps, {}, 4, None)
    (text,) = warp_table(unknown, has_truth=False, knows_warp=False)
    assert text["Dice of the fused"] == text["error of position (pixels)"] == "n/a: no ground truth"
    line = table_csv(unknown, ABOUT).decode().splitlines()[-1].split(",")
    assert line[1:3] == ["", ""]
    (text,) = warp_table(warp_rows(decomposition, 0, warps, subject.truth, 4, None), has_truth=True, knows_warp=False)
    assert text["error of position (pixels)"] == "n/a: the true warp is unknown"


def test_names_of_downloads_have_page_checkpoint_subject_and_slice_and_never_a_user_s_file(found):
    subject, _ = found
    name = provenance.file_name("traverse", "cardiac-film", subject, "csv", "z of LGE")
    assert name == "dafnet-traverse-cardiac-film-Phantom-subject-1-slice-4-of-8-standard-z-of-LGE.csv"
    title = "`Ann Smith.nii.gz`, slice 3 of 20 and `flair, slice 7 of 9.nii`, slice 5 of 20"
    mine = replace(subject, uploaded=True, title=title)
    name = provenance.file_name("edit", "../runs/my model", mine, "npz")
    assert name == "dafnet-edit-runs-my-model-upload-slice-3-slice-5.npz"
