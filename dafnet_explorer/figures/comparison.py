"""The page Compare: the numbers of two checkpoints on the same data, as a verdict, a forest plot and tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dafnet_core.checkpoints.weights import ModuleDifference
from dafnet_core.evaluation.comparison import LEVEL, Compared, by_subject_name
from dafnet_core.evaluation.result import EvaluationResult
from dafnet_core.metrics.paired import least_p
from dafnet_explorer.figures.charts import COLOURS, apply_style
from dafnet_explorer.figures.texts import cell, number_title

HIDDEN = (
    "n_subjects",
    "n_slices",
    "warp.",
    "why",
    "version",
    "data",
    "split",
    "paired.",
    "by_subject.",
    "subjects",
)  # properties of the data, and duplicates
COUNTS = (".n", ".n_subjects", ".slices")
GROUPS = (  # of the forest plot: what the horizontal axis shows, and the ends of the names of its numbers
    ("Dice", ("dice_mean", "dice_volume")),
    ("distance of surfaces, mm", ("hd95_mm", "assd_mm")),
    ("error of the warp, pixels", ("error_after_px",)),
    ("L1 of intensities in [-1, 1]", ("own_l1", "own_l1_inside", "cross_l1", "cross_l1_inside")),
    ("share of pixels that keep their channel", ("agreement",)),
    ("share of pixels that are speckle", ("share",)),
)
LOOKS = {  # of an interval: colour, and whether its marker is filled
    "A better, also after correction": (COLOURS[0], "circle"),
    "B better, also after correction": (COLOURS[4], "circle"),
    "A better, before correction only": (COLOURS[0], "circle-open"),
    "B better, before correction only": (COLOURS[4], "circle-open"),
    "no difference shown": (COLOURS[7], "circle-open"),
}


def _numbers(value: Any, path: str = "") -> Iterable[tuple[str, float]]:
    """(dotted path, value) of every number in nested dicts and lists; intervals and counts of permutations too."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _numbers(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list | tuple):
        for n, inner in enumerate(value, 1):
            yield from _numbers(inner, f"{path}.{n}")
    elif isinstance(value, int | float):
        yield path, float(value)


def comparison(a: EvaluationResult, b: EvaluationResult, compared: Mapping[str, Compared]) -> list[dict[str, Any]]:
    """All numbers of two checkpoints A and B on the same data; by-subject ones with their paired difference a - b.

    Args:
        compared: as `evaluation.comparison.compare` has it; {} where nothing is paired.

    Returns:
        Rows of number, chosen (A), beside (B), difference, low and high of its 95 % interval, sign-flip p, and p
        corrected by Holm's method; None where unknown.
    """
    ours, theirs = dict(_numbers(a.to_json())), dict(_numbers(b.to_json()))
    rows = []
    for name in [n for n in ours if n in theirs and not (n.startswith(HIDDEN) or n.endswith(COUNTS) or "ci95" in n)]:
        found = compared.get(by_subject_name(name))
        low, high = found.paired.ci95 if found else (None, None)
        rows.append(
            {
                "number": name,
                "in words": number_title(name),
                "chosen": ours[name],
                "beside": theirs[name],
                "difference": found.paired.difference if found else None,
                "low": low,
                "high": high,
                "p": found.paired.p_value if found else None,
                "p, corrected": found.p_holm if found else None,
            }
        )
    return rows


def verdict(compared: Mapping[str, Compared]) -> str:
    """Whether A or B segments better, in one sentence with the numbers that it rests on."""
    primary = {_modality(name): found for name, found in compared.items() if found.primary}
    if not primary:
        return "No verdict: fewer than two subjects have masks that both checkpoints predict."
    sure = {name: found for name, found in primary.items() if (found.p_primary or 0) < LEVEL and found.favours >= 0}
    parts = [_difference(name, found) for name, found in (sure or primary).items()]
    n = next(iter(primary.values())).paired.n
    if not sure:
        few = "" if least_p(n) * len(primary) < LEVEL else f" {n} subjects are too few for any difference to count."
        return f"**No difference in segmentation is shown** on {n} subjects: {'; '.join(parts)}.{few}"
    winners = {found.favours for found in sure.values()}
    rest = [name for name in primary if name not in sure]
    unsure = f" For {' and '.join(rest)} no difference is shown." if rest else ""
    said = f"{'AB'[winners.pop()]} segments better" if len(winners) == 1 else "Each is better in one modality"
    return f"**{said}** on {n} subjects: {'; '.join(parts)}.{unsure}"


def _modality(name: str) -> str:
    """Of a number such as segmentation.LGE.fused.dice_mean."""
    return name.partition(".")[2].rsplit(".", 2)[0]


def _difference(modality: str, found: Compared) -> str:
    low, high = found.paired.ci95
    return (
        f"Dice of {modality} {found.paired.difference:+.4f} (A minus B, 95 % interval {low:+.4f} to {high:+.4f}, "
        f"p {cell(found.p_primary)})"
    )


def _look(found: Compared) -> str:
    if found.favours < 0 or not found.excludes_zero:
        return "no difference shown"
    counted = "also after correction" if (found.p_holm or 0) < LEVEL else "before correction only"
    return f"{'AB'[found.favours]} better, {counted}"


def forest_groups(compared: Mapping[str, Compared]) -> list[tuple[str, dict[str, Compared]]]:
    """(what the axis shows, numbers by dotted path) of each part of the forest plot that has any."""
    directed = {name: found for name, found in compared.items() if found.better}
    groups = [(title, {name: f for name, f in directed.items() if _end(name) in ends}) for title, ends in GROUPS]
    return [(title, found) for title, found in groups if found]


def _end(name: str) -> str:
    return "agreement" if name.startswith("invariance.intensity.") else name.rpartition(".")[2]


def forest_figure(compared: Mapping[str, Compared], dark: bool) -> go.Figure:
    """Paired differences A - B of every number with a direction, with their 95 % intervals."""
    groups, legend = forest_groups(compared), set()
    heights = [len(found) + 1.6 for _, found in groups]
    figure = make_subplots(
        len(groups), 1, row_heights=heights, vertical_spacing=min(0.09, 2.4 / sum(heights)) if len(groups) > 1 else 0
    )
    for row, (title, of_group) in enumerate(groups, 1):
        for name, found in of_group.items():
            look, paired = _look(found), found.paired
            colour, symbol = LOOKS[look]
            figure.add_trace(
                go.Scatter(
                    x=[paired.difference],
                    y=[number_title(name)],
                    error_x=dict(
                        array=[paired.ci95[1] - paired.difference],
                        arrayminus=[paired.difference - paired.ci95[0]],
                        symmetric=False,
                    ),
                    mode="markers",
                    marker=dict(color=colour, symbol=symbol, size=9),
                    name=look,
                    legendgroup=look,
                    showlegend=look not in legend,
                    hovertemplate=f"%{{y}}<br>%{{x:.4f}} ({paired.ci95[0]:.4f} to {paired.ci95[1]:.4f})<br>p "
                    f"{paired.p_value:.4f}, corrected {cell(found.p_holm, 4)}<extra></extra>",
                ),
                row,
                1,
            )
            legend.add(look)
        right = "A" if next(iter(of_group.values())).better > 0 else "B"
        figure.add_vline(0, line=dict(color="#8d99a6", dash="dot"), row=row, col=1)
        title = f"{title}: A minus B, {right} better →"
        figure.update_xaxes(title=dict(text=title, standoff=4), tickangle=0, row=row, col=1)
        figure.update_yaxes(
            title=dict(text="measure", standoff=16), autorange="reversed", automargin=True, row=row, col=1
        )
    return apply_style(
        figure,
        round(26 * sum(heights)) + 90,
        dark,
        legend=dict(orientation="h", y=1.0, yanchor="bottom", x=0),
        margin=dict(l=0, r=10, t=50, b=0),
    )


def correction_note(compared: Mapping[str, Compared]) -> str:
    """What the intervals of the forest plot do and do not say, given how many there are."""
    count = sum(found.better != 0 for found in compared.values())
    n = max((found.paired.n for found in compared.values()), default=0)
    few = (
        f" With {n} subjects no p is below {least_p(n):.4f}, so that after correction none can count: choose more "
        "subjects."
        if n and least_p(n) * count >= LEVEL
        else ""
    )
    return (
        f"Paired by subject, with 95 % intervals that are not corrected: of {count} numbers about {0.05 * count:.0f} "
        "would exclude 0 by chance. *Corrected*: p of the sign-flip test by Holm's method for all of them; filled "
        f"markers stay below {LEVEL:g}.{few} The verdict rests on the Dice of masks alone, which was chosen "
        "beforehand, and is corrected for the number of modalities."
    )


def weight_rows(differences: Sequence[ModuleDifference]) -> list[dict[str, str]]:
    """Differences of weights by module as text."""
    return [
        {
            "module": number_title(d.module),
            "parameters of A": f"{d.parameters[0]:,}",
            "parameters of B": f"{d.parameters[1]:,}",
            "of one shape": f"{d.shared:,}",
            "relative difference": cell(d.relative),
            "cosine": cell(d.cosine),
        }
        for d in differences
    ]
