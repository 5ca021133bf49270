"""Tables of a report: the main numbers of `evaluate`, reconstruction errors, and z."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
        "perfect; ± is the standard deviation over subjects. Unmoved: the other's true mask without alignment.",
    ),
    "registration": (
        "Registration",
        "Sec. III-B",
        "Mean distance, in pixels, of a position from its true match in the other image, before and after alignment.",
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


def evaluate_rows(found: EvaluationResult) -> list[dict[str, str]]:
    """The main numbers of `evaluate`, keys of MEASURES, as rows of text; n/a with the reason if known."""
    return [
        {"measure": MEASURES[key][0], "of": of, "value": _n(value, found.why.get(path)), "spread": around}
        for key, of, value, around, path in _main_numbers(found)
    ]


def _main_numbers(found: EvaluationResult) -> Iterator[tuple[str, str, float | None, str, str]]:
    """(measure, quantity, value, interval as text, dotted path) of each measured number."""
    for name, by_kind in (found.segmentation or {}).items():
        for kind, v in by_kind.items():
            spread = "" if v.dice_std is None else f"± {v.dice_std:.3f}"
            yield "segmentation", f"{name}, {kind}", v.dice_mean, spread, f"segmentation.{name}.{kind}.dice_mean"
        if found.copy:
            yield "segmentation", f"{name}, unmoved", found.copy[name].dice_mean, "", f"copy.{name}.dice_mean"
    if found.registration:
        for when in ("before", "after"):
            key = f"error_{when}_px"
            yield "registration", f"{when}, pixels", getattr(found.registration, key), "", f"registration.{key}"
    if found.probe:
        probe = found.probe
        yield "probe", "all of z", probe.accuracy, _span(probe.ci95), "probe.accuracy"
        for d, accuracy in enumerate(probe.per_dimension or (), 1):
            yield "probe", f"z{d} alone", accuracy, "", "probe.per_dimension"
        yield "probe", "chance", probe.chance, "", "probe.chance"
    for way, v in (found.swap or {}).items():
        yield "swap", way.replace("_to_", " in the style of "), v.accuracy, "", f"swap.{way}.accuracy"
    if found.dependence:
        yield from _dependence_numbers(found.dependence, found.why)
    for d, nats in enumerate(found.kl_per_dimension or (), 1):
        yield "kl_per_dimension", f"z{d}, nats", nats, "", "kl_per_dimension"


def _dependence_numbers(
    found: DependenceSummary, why: Mapping[str, str]
) -> Iterator[tuple[str, str, float | None, str, str]]:
    for key, of, ci95 in (
        ("dcor", "dCor, as in the paper", found.dcor_ci95),
        ("null_dcor_mean", "dCor, subjects permuted", None),
        ("dcor_squared_unbiased", "dCor², bias-corrected", found.dcor_squared_unbiased_ci95),
        ("p_value", "p of the permutation", None),
    ):
        value, path = getattr(found, key), f"dependence.{key}"
        if value is not None or path in why or key != "null_dcor_mean":  # older checkpoints do not have it
            yield "dependence", of, value, _span(ci95), path


def _n(value: float | None, why: str | None) -> str:
    return (f"n/a: {why}" if why else "n/a") if value is None else f"{value:.3f}"


def _span(ci95: Sequence[float] | None) -> str:
    return f"{ci95[0]:.3f} to {ci95[1]:.3f} (95 %)" if ci95 else ""


def error_rows(found: Decomposition, subject: Subject) -> Rows:
    """Reconstruction errors; inside the organs only with ground truth."""
    return [
        {
            "modality": found.names[i],
            "anatomy": "own" if j is None else f"{found.names[j]}, deformed",
            "L1": everywhere,
            "L1 inside the organs": inside if inside == inside else "n/a",  # NaN is not itself
        }
        for _, i, j, everywhere, inside in reconstruction_errors(found, subject.truth)
    ]


def z_rows(found: Decomposition) -> Rows:
    """Mean, standard deviation and KL of z, one row per modality and dimension."""
    kl = kl_per_dimension(found)
    return [
        {
            "modality": name,
            "dimension": f"z{d + 1}",
            "mean": float(found.z_mean[i, d]),
            "standard deviation": float(found.z_std[i, d]),
            "KL, nats": float(kl[i, d]),
        }
        for i, name in enumerate(found.names)
        for d in range(found.z_mean.shape[1])
    ]
