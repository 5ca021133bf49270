"""One crosshair in all panels of Decompose: what the browser gets, and what it shows."""

import base64
from types import SimpleNamespace

import numpy as np
import pytest

from dafnet_core.methods.decomposition import decompose
from dafnet_explorer import subjects
from dafnet_explorer.components.crosshair import POSITIONS, VALUES, Panel, _packed
from dafnet_explorer.figures.decompose import panels
from dafnet_explorer.figures.texts import channel_titles
from tests.helpers import untrained

FEW = "subject=1&slice=4"


@pytest.fixture(scope="module")
def shown(checkpoint):
    subject = subjects.sample(checkpoint, 0, 3, "standard")
    found = decompose(checkpoint.model, subject.images, subject.modalities)
    kinds = (None,) * checkpoint.config.channels
    return SimpleNamespace(
        subject=subject,
        found=found,
        kinds=kinds,
        panels=panels(found, 1, subject.truth, checkpoint.config.classes, kinds, checkpoint.colours),
    )


def test_panels_are_all_that_is_known_of_a_modality(checkpoint, shown):
    assert [panel.title for panel in shown.panels] == [
        "intensity of x",
        "channel",
        "class",
        "true class",
        "entropy (nats)",
        "reconstruction by its own s",
        "error by its own s",
        "reconstruction by s of cine",
        "error by s of cine",
        "cine, where its warp leads",
    ]
    by_title = {panel.title: panel for panel in shown.panels}
    assert by_title["channel"].names == tuple(channel_titles(shown.kinds, checkpoint.config.classes))
    assert np.array_equal(by_title["error by its own s"].values, np.abs(shown.found.own[1] - shown.found.images[1]))
    pair = shown.found.pairs.index((1, 0))
    assert np.array_equal(by_title["cine, where its warp leads"].positions, shown.found.positions[pair])
    without = panels(shown.found, 1, {}, checkpoint.config.classes, shown.kinds, checkpoint.colours)
    assert "true class" not in [panel.title for panel in without]


def test_a_modality_that_is_not_served_has_its_image_and_channels_alone(tmp_path, shown):
    single = untrained.write(tmp_path / "single.safetensors", "sdnet-single")
    found = decompose(single.model, shown.subject.images, shown.subject.modalities)
    classes = single.config.classes
    of = [panels(found, i, {}, classes, (None,) * single.config.channels, single.colours) for i in (0, 1)]
    assert [panel.title for panel in of[0]] == ["intensity of x", "channel"]
    assert {"class", "reconstruction by its own s"} <= {panel.title for panel in of[1]}


def test_values_and_positions_are_rounded_and_nothing_more(shown):
    for panel in shown.panels:
        packed = _packed(panel)
        steps = 1 if panel.names else VALUES
        values = np.frombuffer(base64.b64decode(packed["values"]), "<i2") / steps
        assert values == pytest.approx(panel.values.ravel(), abs=0.5001 / steps)
    positions = np.frombuffer(base64.b64decode(packed["positions"]), "<i2") / POSITIONS
    assert positions.reshape(panel.positions.shape) == pytest.approx(panel.positions, abs=0.5001 / POSITIONS)
    assert len(base64.b64decode(_packed(Panel("a", np.zeros((2, 2)), scale="Viridis"))["table"])) == 256 * 3


def test_a_pixel_s_size_is_known_for_samples_and_for_files_that_say_it(checkpoint, shown):
    assert shown.subject.mm == checkpoint.preparation.spacing
    wide = [subjects.sample(checkpoint, number, 3, "wide").mm for number in range(3)]
    assert len(set(wide)) == 3  # each has a field of view of its own
    item = SimpleNamespace(spacing=(0.5, 0.5))
    placement = SimpleNamespace(matrix=((2.0, 0.0, 3.0), (0.0, 2.0, 1.0)))
    assert subjects._pixel_mm(item, placement) == 1.0
    assert subjects._pixel_mm(SimpleNamespace(spacing=None), placement) is None


def test_the_crosshair_moves_through_all_panels_and_reads_their_values(server, page, checkpoint, shown):
    page.goto(f"{server[0]}/decompose?{FEW}&inspected=LGE")
    box = page.locator(".crosshair")
    box.wait_for(timeout=60_000)
    canvases, said = box.locator("canvas"), box.locator("output")
    assert canvases.count() == len(shown.panels)
    first = canvases.first
    first.focus()
    before = [canvases.nth(n).evaluate("e => e.toDataURL()") for n in range(canvases.count())]
    height, width = shown.subject.images.shape[1:]
    for key in ("ArrowRight", "Shift+ArrowDown"):
        page.keyboard.press(key)
    x, y, mm = width // 2 + 1, height // 2 + 10, shown.subject.mm
    text = said.inner_text()
    assert text.startswith(f"x {x}, y {y} pixels; {x * mm:.1f}, {y * mm:.1f} mm: ")
    assert f"intensity of x {shown.subject.images[1, y, x]:.3f}" in text
    assert f"true class {checkpoint.config.classes[shown.subject.truth[1][y, x]]}" in text
    after = [canvases.nth(n).evaluate("e => e.toDataURL()") for n in range(canvases.count())]
    assert all(a != b for a, b in zip(before, after, strict=True))


def test_zoom_and_window_are_shared_until_they_are_switched_off(server, page):
    page.goto(f"{server[0]}/decompose?{FEW}&inspected=LGE")
    box = page.locator(".crosshair")
    box.wait_for(timeout=60_000)
    canvases = box.locator("canvas")

    def pictures():
        return [canvases.nth(n).evaluate("e => e.toDataURL()") for n in range(canvases.count())]

    def slide(name, value):
        box.locator(f"[data-{name}]").evaluate(
            "(e, v) => { e.value = v; e.dispatchEvent(new Event('input')) }", str(value)
        )
        return pictures()

    whole = pictures()
    zoomed = slide("zoom", 4)
    assert all(a != b for a, b in zip(whole, zoomed, strict=True))
    box.locator("[data-linked]").uncheck()
    alone = slide("zoom", 2)
    assert [a != b for a, b in zip(zoomed, alone, strict=True)] == [True] + [False] * (len(whole) - 1)
    box.get_by_role("button", name="Reset").click()
    assert pictures() == whole
    box.locator("[data-linked]").check()
    darker = slide("high", 0.2)
    titles = box.locator("figcaption").all_inner_texts()
    changed = {title for title, a, b in zip(titles, whole, darker, strict=True) if a != b}
    assert {"intensity of x", "reconstruction by its own s", "cine, where its warp leads"} <= changed
    assert not {"channel", "class", "error by its own s", "entropy (nats)"} & changed
