"""Tables of a report: the main numbers of `evaluate`, reconstruction errors, and z."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dafnet_core.analysis.decompose import kl_per_dimension, reconstruction_errors
from dafnet_core.evaluation.measures.dependence import DependenceSummary
from dafnet_core.evaluation.result import EvaluationResult
from dafnet_core.methods.decomposition import Decomposition
from dafnet_explorer.subjects import Subject

Rows = list[dict[str, Any]]

MEASURES = {  # key of `evaluate`: title, section of the paper, description
    "segmentation": (
        "Segmentation",
        "Sec. III-C, V",
        "Dice of masks from an image's own anatomy (single), from the other's (deformed) and from both (fused): 1 is "
        "perfect; of each subject's slices as one volume, and the mean over slices (± is the standard deviation over "
        "subjects), without slices whose truth lacks a class. Unmoved: the other's true mask without alignment.",
    ),
    "surface": (
        "Surface distances",
        "not in the paper",
        "Distances of the masks' outlines from the true ones in mm, averaged as Dice of slices: HD95, which 95 % do "
        "not exceed, and ASSD, their mean.",
    ),
    "registration": (
        "Registration",
        "Sec. III-B",
        "Mean distance, in pixels, of a position from its true match in the other image, before and after alignment.",
    ),
    "speckle": (
        "Speckle",
        "not in the paper",
        "Share of pixels of s whose channel differs from most of their 3 x 3 neighbours, compared with the truth's: a "
        "halftone carries intensities.",
    ),
    "invariance": (
        "Invariance",
        "not in the paper",
        "Share of pixels of s that keep their channel when only intensities change, and that have one channel in both "
        "modalities under the true warp.",
    ),
    "probe": (
        "Probe",
        "Sec. V-H.1",
        "Accuracy of the modality classified from z by a linear classifier, on held-out subjects: near 1 if z encodes "
        "appearance.",
    ),
    "swap": (
        "Swap",
        "Sec. V-H",
        "Share of images with the other's z that the probe, after re-encoding, classifies as the other modality.",
    ),
    "dependence": (
        "Dependence",
        "Sec. V-H.3",
        "Distance correlation of s and z: 0 if they are independent, but biased upwards for few subjects; compare with "
        "its value with the subjects permuted.",
    ),
    "kl_per_dimension": (
        "KL",
        "Sec. V-F",
        "Information of each dimension of z on an image, in nats; a dimension near 0 is inactive, and an inactive z is "
        "trivially independent of s.",
    ),
}


@dataclass(frozen=True)
class Main:
    """One of the main numbers of `evaluate`.

    Attributes:
        key: of MEASURES; of: what it is measured of; unit: "" for a share or another pure number.
        path: dotted name in the JSON of `evaluate`.
        ci95, deviation: its 95 % interval, or the standard deviation over subjects, where there is one.
    """

    key: str
    of: str
    value: float | None
    path: str
    unit: str = ""
    ci95: Sequence[float] | None = None
    deviation: float | None = None


def evaluate_rows(result: EvaluationResult) -> list[dict[str, str]]:
    """The main numbers of `evaluate` as rows of text; n/a with the reason if known."""
    return [
        {
            "measure": MEASURES[m.key][0],
            "of": f"{m.of}, {m.unit}" if m.unit else m.of,
            "value": _n(m.value, result.why.get(m.path)),
            "spread": _span(m.ci95) or ("" if m.deviation is None else f"± {m.deviation:.3f}"),
        }
        for m in _main_numbers(result)
    ]


def evaluate_csv_rows(result: EvaluationResult) -> list[dict[str, Any]]:
    """The same as numbers, each with its unit; None where unknown."""
    return [
        {
            "measure": MEASURES[m.key][0],
            "of": m.of,
            "unit": m.unit,
            "value": m.value,
            "low": m.ci95[0] if m.ci95 else None,
            "high": m.ci95[1] if m.ci95 else None,
            "standard deviation": m.deviation,
            "why": result.why.get(m.path, ""),
        }
        for m in _main_numbers(result)
    ]


def _main_numbers(result: EvaluationResult) -> Iterator[Main]:
    """Each measured number."""
    yield from _mask_numbers(result)
    if result.registration:
        for when in ("before", "after"):
            key = f"error_{when}_px"
            yield Main("registration", when, getattr(result.registration, key), f"registration.{key}", "pixels")
    for name, s in (result.speckle or {}).items():
        yield Main("speckle", name, s.share, f"speckle.{name}.share")
        yield Main("speckle", f"{name}, truth", s.truth_share, f"speckle.{name}.truth_share")
    if i := result.invariance:
        for name, share in i.intensity.items():
            yield Main("invariance", f"{name}, intensities", share, f"invariance.intensity.{name}")
        yield Main("invariance", "modalities", i.modality.agreement, "invariance.modality.agreement")
    if probe := result.probe:
        yield Main("probe", "all of z", probe.accuracy, "probe.accuracy", ci95=probe.ci95)
        for d, accuracy in enumerate(probe.per_dimension or (), 1):
            yield Main("probe", f"z{d} alone", accuracy, "probe.per_dimension")
        yield Main("probe", "chance", probe.chance, "probe.chance")
    for direction, v in (result.swap or {}).items():
        of = direction.replace("_to_", " in the style of ")
        yield Main("swap", of, v.accuracy, f"swap.{direction}.accuracy")
    if result.dependence:
        yield from _dependence_numbers(result.dependence, result.why)
    for d, nats in enumerate(result.kl_per_dimension or (), 1):
        yield Main("kl_per_dimension", f"z{d}", nats, "kl_per_dimension", "nats")


def _mask_numbers(result: EvaluationResult) -> Iterator[Main]:
    """Dice, and distances of surfaces, of every kind of mask."""
    for name, by_kind in (result.segmentation or {}).items():
        for kind, v in by_kind.items():
            path = f"segmentation.{name}.{kind}"
            yield Main("segmentation", f"{name}, {kind}, volume", v.dice_volume_mean, f"{path}.dice_volume_mean")
            of = f"{name}, {kind}, slices"
            yield Main("segmentation", of, v.dice_mean, f"{path}.dice_mean", deviation=v.dice_std)
        if result.copy:
            yield Main("segmentation", f"{name}, undeformed", result.copy[name].dice_mean, f"copy.{name}.dice_mean")
    for name, distances in (result.surface or {}).items():
        for kind, d in distances.items():
            of = f"{name}, {'undeformed' if kind == 'copy' else kind}"
            for title, value, key in (("HD95", d.hd95_mm, "hd95_mm"), ("ASSD", d.assd_mm, "assd_mm")):
                yield Main("surface", f"{of}, {title}", value, f"surface.{name}.{kind}.{key}", "mm")


def _dependence_numbers(summary: DependenceSummary, why: Mapping[str, str]) -> Iterator[Main]:
    for key, quantity, ci95 in (
        ("dcor", "dCor, as in the paper", summary.dcor_ci95),
        ("null_dcor_mean", "dCor, subjects permuted", None),
        ("dcor_squared_unbiased", "dCor², bias-corrected", summary.dcor_squared_unbiased_ci95),
        ("p_value", "p of the permutation", None),
    ):
        value, path = getattr(summary, key), f"dependence.{key}"
        if value is not None or path in why or key != "null_dcor_mean":  # older checkpoints do not have it
            yield Main("dependence", quantity, value, path, ci95=ci95)


def _n(value: float | None, why: str | None) -> str:
    return (f"n/a: {why}" if why else "n/a") if value is None else f"{value:.3f}"


def _span(ci95: Sequence[float] | None) -> str:
    return f"{ci95[0]:.3f} to {ci95[1]:.3f} (95 %)" if ci95 else ""


def error_rows(decomposition: Decomposition, subject: Subject) -> Rows:
    """Reconstruction errors; inside the organs only with ground truth."""
    return [
        {
            "modality": decomposition.names[i],
            "anatomy": "own" if j is None else f"{decomposition.names[j]}, deformed",
            "L1 (intensity)": everywhere,
            "L1 inside the organs (intensity)": inside if inside == inside else None,  # NaN is not itself
        }
        for _, i, j, everywhere, inside in reconstruction_errors(decomposition, subject.truth)
    ]


def z_rows(decomposition: Decomposition) -> Rows:
    """Mean, standard deviation and KL of z, one row per modality and dimension."""
    kl = kl_per_dimension(decomposition)
    return [
        {
            "modality": name,
            "dimension": f"z{d + 1}",
            "mean": float(decomposition.z_mean[i, d]),
            "standard deviation": float(decomposition.z_std[i, d]),
            "KL (nats)": float(kl[i, d]),
        }
        for i, name in enumerate(decomposition.names)
        for d in range(decomposition.z_mean.shape[1])
    ]
