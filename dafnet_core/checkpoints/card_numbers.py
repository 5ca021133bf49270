"""The numbers of `evaluate` as tables and sentences of a card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dafnet_core.evaluation.measures.leakage import LeakageByReader
from dafnet_core.evaluation.measures.segmentation import DiceSummary
from dafnet_core.evaluation.measures.style import ReadingSummary, StyleSummary
from dafnet_core.evaluation.measures.surface_distance import SurfaceSummary
from dafnet_core.evaluation.result import EvaluationResult
from dafnet_core.metrics.paired import Paired

TITLES = {
    "single": "single",
    "deformed": "deformed from the other",
    "fused": "fused",
    "copy": "the other's mask, undeformed",
}


def numbers(result: EvaluationResult) -> list[str]:
    """Lines of Markdown with every number of a data set."""
    rows = [f"{result.n_subjects} subjects, {result.n_slices} slices; deviations are over subjects."]
    if result.warp.rms_px:
        rows[0] += (
            f" Every modality and its mask was deformed by a known smooth warp of its own (relative displacement "
            f"{result.warp.rms_px:.2f} pixels RMS, seed {result.warp.seed}); all numbers are under it."
        )
    rows += _dice_tables(result)
    if result.reconstruction is not None:
        errors = {
            n: (decimal(v.own_l1), decimal(v.own_l1_inside), decimal(v.cross_l1))
            for n, v in result.reconstruction.items()
        }
        titles = ("absolute error, intensities in [-1, 1]", "own image", "own, inside the organs", "crosswise")
        rows += _table(titles, [(name, *cells) for name, cells in errors.items()])
    rows += [*_of_z(result), *_of_s(result)]
    rows += _leakage_table(result.leakage) if result.leakage else []
    rows += _style_table(result.style) if result.style else []
    return [*rows, "", *_statements(result)]


def decimal(value: float | None) -> str:
    """Three decimals; n/a for None."""
    return "n/a" if value is None else f"{value:.3f}"


def _dice_tables(result: EvaluationResult) -> list[str]:
    segmentation: dict[str, dict[str, DiceSummary]] = result.segmentation or {}
    if not segmentation:
        return []
    kinds, copies = next(iter(segmentation.values())), result.copy or {}
    titles = [TITLES.get(kind, kind) for kind in kinds]
    by_name = segmentation.items()
    volumes = [
        (
            n,
            *(decimal(v.dice_volume_mean) for v in by_kind.values()),
            decimal(copies[n].dice_volume_mean if n in copies else None),
        )
        for n, by_kind in by_name
    ]
    slices = [
        (
            n,
            *(f"{decimal(v.dice_mean)} ± {decimal(v.dice_std)}" for v in by_kind.values()),
            decimal(copies[n].dice_mean if n in copies else None),
        )
        for n, by_kind in by_name
    ]
    rows = _table(("Dice of volumes", *titles, TITLES["copy"]), volumes)
    rows += _table(("Dice of slices", *titles, TITLES["copy"]), slices)
    rows += _surface_tables(result.surface or {})
    if any(v.false_positive.rate is not None for by_kind in segmentation.values() for v in by_kind.values()):
        rates = [(n, *(decimal(v.false_positive.rate) for v in by_kind.values())) for n, by_kind in by_name]
        rows += _table(("slices that show a class which they lack", *titles), rates)
    paired = result.paired or {}
    differences = [
        (kind.replace("_", " "), *(_difference(v[kind]) for v in paired.values()))
        for kind in next(iter(paired.values()), {})
    ]
    rows += _table(("difference by subject (95 % interval, p)", *paired), differences)
    classes = next(iter(kinds.values())).per_class
    each = [(n, kind, *map(decimal, v.per_class.values())) for n, by_kind in by_name for kind, v in by_kind.items()]
    return [*rows, *_table(("Dice per class", "kind", *classes), each)]


def _surface_tables(surface: Mapping[str, Mapping[str, SurfaceSummary]]) -> list[str]:
    """Distances in mm by modality and kind of mask; no table where no size of pixels is known."""
    known = [(n, by_kind) for n, by_kind in surface.items() if any(v.n_subjects for v in by_kind.values())]
    if not known:
        return []
    kinds = tuple(known[0][1])
    titles = [TITLES.get(kind, kind) for kind in kinds]
    hd95 = [(n, *(decimal(by_kind[kind].hd95_mm) for kind in kinds)) for n, by_kind in known]
    assd = [(n, *(decimal(by_kind[kind].assd_mm) for kind in kinds)) for n, by_kind in known]
    return [*_table(("HD95, mm", *titles), hd95), *_table(("ASSD, mm", *titles), assd)]


def _of_z(result: EvaluationResult) -> list[str]:
    """By dimension; what was not computed has no row."""
    probe = result.probe.per_dimension if result.probe else None
    known = {
        "modality classified from it alone": probe,
        "KL, nats": result.kl_per_dimension,
        "variance of the posterior means": result.variance_per_dimension,
        "mean posterior variance": result.posterior_variance_per_dimension,
    }
    rows = [(title, *map(decimal, values)) for title, values in known.items() if values]
    return _table(("dimension of z", *(f"z{d}" for d in range(1, len(rows[0])))), rows) if rows else []


def _of_s(result: EvaluationResult) -> list[str]:
    """By channel, and by modality; what was not computed has no row."""
    shares = [(name, *map(decimal, values)) for name, values in (result.channel_occupancy or {}).items()]
    rows = _table(("share of pixels by channel of s", *map(str, range(1, len(shares[0])))), shares) if shares else []
    speckle, sensitivity = result.speckle or {}, result.sensitivity or {}
    kept = result.invariance.intensity if result.invariance else {}
    known = {
        "speckle: pixels unlike the majority of their 3 x 3 neighbours": {n: s.share for n, s in speckle.items()},
        "speckle of the truth": {n: s.truth_share for n, s in speckle.items()},
        "length of the boundaries over the truth's": {n: s.boundary_ratio for n, s in speckle.items()},
        "pixels that keep their channel under other intensities": kept,
        "change of the image when 1 % of the pixels are flipped": {n: s.p01 for n, s in sensitivity.items()},
        "change of the image when 5 % of the pixels are flipped": {n: s.p05 for n, s in sensitivity.items()},
    }
    names = list(dict.fromkeys(name for values in known.values() for name in values))
    cells = [(title, *(decimal(values.get(name)) for name in names)) for title, values in known.items() if values]
    return [*rows, *(_table(("anatomy s", *names), cells) if cells else [])]


def _leakage_table(leakage: LeakageByReader) -> list[str]:
    kinds = ("shares of the channels", leakage.occupancies), ("channels on an 8 x 8 grid", leakage.pooled)
    rows = [
        (title, f"{decimal(v.accuracy)} ({_span(v.ci95)})", decimal(v.truth_accuracy), _difference(v.excess))
        for title, v in kinds
    ]
    return _table(("modality classified from s by", "accuracy (95 %)", "from true masks", "excess (95 %, p)"), rows)


def _style_table(style: StyleSummary) -> list[str]:
    """R^2 of each parameter, of the better one of two regressions."""
    contrast, shape = (style.z, style.s, style.oracle), (style.shape.z, style.shape.s, ReadingSummary())
    rows = [_mean_row("contrast, mean of those that count", contrast), *_parameter_rows(contrast)]
    rows += [_mean_row("shape, mean", shape), *_parameter_rows(shape)]
    if all(r.best_mean_r2 is None for r in (*contrast, *shape)):
        return []
    return _table(("R^2 of the phantom's parameters", "from z", "from s", "from true intensities"), rows)


def _mean_row(title: str, readings: Sequence[ReadingSummary]) -> tuple[str, ...]:
    return (title, *(decimal(r.best_mean_r2) for r in readings))


def _parameter_rows(readings: Sequence[ReadingSummary]) -> list[tuple[str, ...]]:
    names = dict.fromkeys(name for r in readings for name in r.best_r2)
    return [(name, *(decimal(r.best_r2.get(name)) for r in readings)) for name in names]


def _statements(result: EvaluationResult) -> Iterator[str]:
    if r := result.registration:
        yield f"- Error of alignment: {decimal(r.error_before_px)} pixels before, {decimal(r.error_after_px)} after."
    if (probe := result.probe) and probe.ci95 is not None:
        yield (
            f"- Modality classified from z by logistic regression: {decimal(probe.accuracy)} (95 % interval "
            f"{_span(probe.ci95)}, chance {decimal(probe.chance)})."
        )
    if result.swap:
        swaps = ", ".join(f"{way.replace('_', ' ')} {decimal(v.accuracy)}" for way, v in result.swap.items())
        yield f"- Images with swapped style that are classified as the style's modality: {swaps}."
    if (d := result.dependence) and d.dcor is not None:
        yield (
            f"- Distance correlation of s and z: {decimal(d.dcor)} (biased, as in the paper), squared and "
            f"unbiased {decimal(d.dcor_squared_unbiased)}, p = {d.p_value:.3g} "
            f"({d.n} anatomies of {d.n_subjects} subjects)."
        )
    yield from _clean_statements(result)


def _clean_statements(result: EvaluationResult) -> Iterator[str]:
    if result.leakage and (cnn := result.leakage.cnn) and cnn.excess_nats is not None:
        yield (
            f"- Nats that s tells a small CNN about the modality beyond the true masks: {cnn.excess_nats:+.3f} (95 % "
            f"interval {_span(cnn.ci95)})."
        )
    if (i := result.invariance) and i.modality.agreement is not None:
        yield (
            f"- Pixels with one channel in both modalities under the true warp: {decimal(i.modality.agreement)} (true "
            f"tissues {decimal(i.modality.bound)})."
        )
    if (p := result.prior) and p.dice_kept is not None:
        yield (
            f"- Under styles drawn from N(0, I): masks kept (Dice) {decimal(p.dice_kept)}, channels "
            f"{decimal(p.channels_kept)}; mean change of z {decimal(p.z_l1)}."
        )
    if (b := result.iob) and b.s.value is not None and b.z.value is not None:
        yield (
            f"- Information over bias (1: tells nothing about the image): s {decimal(b.s.value)} (95 % interval "
            f"{_span(b.s.ci95)}), z {decimal(b.z.value)} ({_span(b.z.ci95)})."
        )


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table of Markdown after an empty line."""
    lines = ["", f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows)]


def _difference(v: Paired | None) -> str:
    return "n/a" if v is None else f"{v.difference:+.3f} ({v.ci95[0]:+.3f} to {v.ci95[1]:+.3f}, p = {v.p_value:.2g})"


def _span(ci95: tuple[float, float] | None) -> str:
    return "n/a" if ci95 is None else f"{ci95[0]:.3f} to {ci95[1]:.3f}"
