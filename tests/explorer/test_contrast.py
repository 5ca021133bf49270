"""Text is at least 4.5 times as light as what it stands on, or as dark, in both themes (WCAG 2), and maps have bars."""

import ast
import tomllib

import numpy as np
import plotly.graph_objects as go
import pytest
from page_visits import ROOT

from dafnet_core.drawing import DARK, LIGHT, rgb
from dafnet_explorer.figures.charts import NUMBER, NUMBERED, apply_style, linked_heatmaps
from tools.walk_pages import MIN_CONTRAST

THEMES = {"light": LIGHT, "dark": DARK}
CAPTION = 0.8  # opacity of captions, of style.css
SELECTED = 0.1  # opacity of the primary colour behind a selected choice, as Streamlit draws it


def luminance(colour):
    """WCAG's relative luminance of (3,) 0..255."""
    c = np.asarray(colour) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


def contrast(a, b):
    dark, light = sorted((luminance(a), luminance(b)))
    return (light + 0.05) / (dark + 0.05)


def over(colour, below, opacity):
    return opacity * rgb(colour) + (1 - opacity) * rgb(below)


@pytest.fixture(params=THEMES)
def theme(request):
    with open(ROOT / ".streamlit" / "config.toml", "rb") as file:
        return tomllib.load(file)["theme"][request.param], THEMES[request.param]


def test_contrast_is_what_wcag_says():
    assert contrast(rgb("#000000"), rgb("#ffffff")) == pytest.approx(21)
    assert contrast(rgb("#777777"), rgb("#ffffff")) == pytest.approx(4.48, abs=0.005)


def test_text_of_pages_stands_out(theme):
    page, _ = theme
    for paper in (page["backgroundColor"], page["secondaryBackgroundColor"]):
        assert contrast(rgb(page["textColor"]), rgb(paper)) >= MIN_CONTRAST
        assert contrast(over(page["textColor"], paper, CAPTION), rgb(paper)) >= MIN_CONTRAST
        chosen = over(page["primaryColor"], paper, SELECTED)
        assert contrast(rgb(page["primaryColor"]), chosen) >= MIN_CONTRAST
    assert f"opacity: {CAPTION}" in (ROOT / "dafnet_explorer" / "style.css").read_text()


def test_text_of_pictures_stands_out_and_their_paper_is_the_page_s(theme):
    page, sheet = theme
    assert sheet.paper == page["backgroundColor"]
    for ink in (sheet.ink, sheet.faint):
        assert contrast(rgb(ink), rgb(sheet.paper)) >= MIN_CONTRAST


def test_text_of_charts_stands_out(theme):
    page, sheet = theme
    figure = go.Figure([go.Heatmap(z=[[1]], colorbar_title="score"), go.Scatter(x=[1], y=[1], name="a")])
    figure.update_layout(xaxis_title="x", yaxis_title="y")
    figure.add_annotation(text="a")
    apply_style(figure, 300, sheet is DARK)
    maps = linked_heatmaps([("a", np.zeros((2, 2)), "Viridis", 0, 1)], np.full((2, 2), "a"), sheet is DARK)
    layout = figure.layout
    texts = [layout.font, layout.legend.font, layout.annotations[0].font, maps.layout.font]
    texts += [font for axis in (layout.xaxis, layout.yaxis) for font in (axis.tickfont, axis.title.font)]
    texts += [figure.data[0].colorbar.tickfont, figure.data[0].colorbar.title.font, maps.data[0].colorbar.tickfont]
    for font in texts:
        assert contrast(rgb(font.color), rgb(page["backgroundColor"])) >= MIN_CONTRAST


@pytest.mark.parametrize("share", np.linspace(0, 1, 5))
def test_numbers_in_maps_stand_out(share):
    low, high = map(rgb, NUMBERED)
    assert contrast(rgb(NUMBER), low + share * (high - low)) >= MIN_CONTRAST


def functions(name):
    tree = ast.parse((ROOT / "dafnet_explorer" / "figures" / name).read_text())
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def test_every_chart_has_one_style():
    """Only `apply_style` sets colours of text and paper."""
    for file in (ROOT / "dafnet_explorer" / "figures").glob("*.py"):
        if file.name != "charts.py":
            for word in ("font_color", "paper_bgcolor", "#1a1a1a", "#f2f2f2"):
                assert word not in file.read_text(), file.name


def test_every_sheet_with_a_map_has_a_colour_bar():
    """Values as colours say nothing without it; functions that return pixels only are called by those with a tile."""
    seen = 0
    for file in (ROOT / "dafnet_explorer" / "figures").glob("*.py"):
        for function in functions(file.name):
            text = ast.unparse(function)
            if "coloured(" in text and "Tile(" in text:
                seen += 1
                assert "_BAR" in text or "Bar(" in text, f"{file.name}: {function.name}"
    assert seen > 8
