"""The controls of Traverse, Edit and Align by Streamlit's own test client, against the core."""

import json

import numpy as np
import pytest
from page_visits import page_text

from dafnet_core.analysis.directions import modality_directions, principal_directions
from dafnet_core.analysis.editing import edited
from dafnet_core.analysis.effects import effect_name, region_changes, region_shares
from dafnet_core.analysis.painting import Reshape, Stroke, paint
from dafnet_core.analysis.traversal import kept_share, traverse
from dafnet_core.data.phantom import TISSUES
from dafnet_core.methods.decomposition import decompose
from dafnet_explorer import subjects

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(checkpoint):
    subject = subjects.sample(checkpoint, 0, 3, "standard")
    return subject, decompose(checkpoint.model, subject.images)


def figures(app):
    """The Plotly figures of the page."""
    return [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]


def titles(figure):
    return [a["text"] for a in figure["layout"].get("annotations", [])]


def test_dimensions_carry_the_names_of_what_they_do_here_and_positions_are_measured(app, checkpoint, found):
    subject, decomposition = found
    moved = traverse(checkpoint.model, decomposition.s[0], decomposition.z_mean[0])
    labels = subject.tissues[0]
    changes, shares = region_changes(moved.difference, labels, len(TISSUES)), region_shares(labels, len(TISSUES))
    names = [effect_name(change, shares, TISSUES) for change in changes]
    app.run().switch_page("pages/traverse.py").run()
    assert not app.exception
    assert [app.slider(key=f"z-{d}").label for d in range(8)] == [f"z{d + 1}: {name}" for d, name in enumerate(names)]
    first = int(moved.effect.argmax())
    text = page_text(app)
    assert f"**z{first + 1}: {names[first]}**" in text
    kept = kept_share(checkpoint.model, moved.images[:, [0, -1]].reshape(-1, 128, 128), 0, decomposition.s[0])
    assert f"keep **{kept.mean():.1%}** of their pixels" in text
    maps, bars = figures(app)
    assert titles(maps) == [f"z{first + 1} = +3.00", "correlation", "last - first", "change from 0"]
    there = ~np.isnan(changes[first])
    assert sorted(bars["data"][0]["y"]) == sorted(np.array(TISSUES)[there])
    assert bars["layout"]["xaxis"]["title"]["text"] == f"mean change of intensity, z{first + 1} from -3 to 3"


def test_one_value_is_inspected_and_comes_from_the_link(app):
    app.query_params.update({"at": "1.5", "dimension": "z5"})
    app.run().switch_page("pages/traverse.py").run()
    assert not app.exception
    assert titles(figures(app)[0])[0] == "z5 = +1.50"
    assert not [s for s in app.select_slider if s.key == "step"]  # the scrubber is the only control of it
    app.selectbox(key="dimension").set_value(3)
    app.button_group(key="steps").set_value(9)
    app.run()
    assert titles(figures(app)[0])[0] == "z4 = +1.50"
    app.session_state["at"] = 0
    app.button_group(key="sort").set_value("number")
    app.run()
    assert titles(figures(app)[0])[0] == "z4 = -3.00"


def test_a_link_with_a_value_that_is_none_shows_the_last_image(app):
    app.query_params["at"] = "far"
    app.run().switch_page("pages/traverse.py").run()
    assert not app.exception
    assert titles(figures(app)[0])[0].endswith("= +3.00")


def test_directions_of_the_samples_are_sheets_and_sliders_of_their_own(app, checkpoint):
    app.run().switch_page("pages/traverse.py").run()
    assert app.selectbox(key="dimension").options == [f"z{d}" for d in range(1, 9)]
    app.toggle(key="directions").set_value(True)
    app.run()
    assert not app.exception
    z = np.concatenate(
        [decompose(checkpoint.model, subjects.sample(checkpoint, n, 3, "standard").images).z_mean for n in range(8)]
    )
    expected = *principal_directions(z), *modality_directions(z, np.tile([0, 1], 8), ("cine", "LGE"))
    names = [d.name for d in expected]
    assert names == ["PC1", "PC2", "PC3", "to LGE"]
    assert app.selectbox(key="dimension").options[8:] == names
    sliders = [app.slider(key=f"along-{k}") for k in range(4)]
    assert [s.label.split(":")[0] for s in sliders] == [f"+ {name}" for name in names]
    assert [d.about in s.help for d, s in zip(expected, sliders, strict=True)] == [True] * 4
    assert "Directions of the samples" in [s.value for s in app.subheader]
    app.selectbox(key="dimension").set_value(11)
    sliders[3].set_value(1.5)
    app.run()
    assert not app.exception
    assert titles(figures(app)[0])[0] == "to LGE = +3.00"
    app.toggle(key="directions").set_value(False)
    app.run()
    assert not app.exception
    assert titles(figures(app)[0])[0].startswith("z")


def test_directions_need_samples(app):
    """Of a brain model there are none; its page says what to do."""
    app.query_params.update({"checkpoint": "brain-film", "directions": "true"})
    app.run().switch_page("pages/traverse.py").run()
    assert not app.exception
    assert "No images of it are part of the app" in page_text(app)


def test_edits_of_the_canvas_are_applied_to_both_checkpoints(app, checkpoint, found):
    subject, decomposition = found
    labels = decomposition.s[0].argmax(0).astype(np.uint8)
    channel = int(labels[64, 64])
    sent = [
        {"kind": "stroke", "channel": channel, "radius": 3, "points": [[20, 30]]},
        {"kind": "reshape", "channel": channel, "grow": 3, "dx": 0, "dy": 0},
        {"kind": "reshape", "channel": channel, "grow": 0, "dx": 4, "dy": -2},
    ]
    owner = f"{checkpoint.digest} {subject.digest} cine"
    app.session_state["brush-kept"] = {owner: {"owner": owner, "actions": sent, "undone": []}}
    app.query_params["painted-with"] = "cardiac-spade"
    app.run().switch_page("pages/edit.py").run()
    assert not app.exception
    actions = [Stroke(channel, 3, ((20, 30),)), Reshape(channel, 3), Reshape(channel, 0, 4, -2)]
    after = paint(labels, actions, 8)
    expected = edited(checkpoint.model, labels, after, decomposition.z_mean[0], subject.truth[0])
    shown = {m.label: m.value for m in app.metric}
    assert shown["pixels changed"] == f"{(after != labels).sum()}"
    assert shown["change inside"] == f"{expected.inside:.3f}"
    assert shown["Dice after"] == f"{expected.dice[1]:.3f}"
    table = app.table[0].value
    assert list(table.columns) == ["channel", "before (pixels)", "after (pixels)", "change (pixels)"]
    assert int(table["change (pixels)"].sum()) == 0
    assert int(table["after (pixels)"].max()) == np.bincount(after.ravel()).max()
    assert "cardiac-spade has its own channels, colours and z" in page_text(app)
    legends = next(h.proto.body for h in app.get("html") if "■" in h.proto.body)
    assert legends.count("<br>") == 1
    app.session_state["brush-kept"] = {owner: {"owner": owner, "actions": [*sent, {"kind": "reset"}], "undone": []}}
    app.run()
    assert {m.label: m.value for m in app.metric}["pixels changed"] == "0"


def test_align_s_table_has_units_and_its_downloads_name_the_subject(app):
    app.run().switch_page("pages/align.py").run()
    assert not app.exception
    table = app.table[0].value
    assert list(table.columns) == [
        "warp",
        "Dice of the deformed",
        "Dice of the fused",
        "crosswise L1 (intensity)",
        "error of position (pixels)",
        "folded (pixels)",
    ]
    assert all(float(value) >= 0 for value in table["error of position (pixels)"])
    app.button_group(key="onto").set_value("cine onto LGE")
    app.run()
    assert not app.exception
    assert {"This table (CSV)", "Your warp (NPZ)", "Your warp (GIF)"} <= {
        b.proto.label for b in app.get("download_button")
    }
