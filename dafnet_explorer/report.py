"""Everything about one slice in one ZIP: a page that needs nothing else, arrays, tables, the numbers of `evaluate`.

The same settings give the same bytes: no clock is read, members keep their order. That holds for the same versions and
number of threads, which it names: sums rounded otherwise move single pixels to another channel. Of an upload it holds
pixels and what was made of them, no name. No streamlit.
"""

from __future__ import annotations

import base64
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import torch
from PIL import Image

from dafnet_core.analysis.decompose import Decomposition, kl_per_dimension, reconstruction_errors
from dafnet_core.analysis.traversal import Traversal
from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.drawing import LIGHT, png
from dafnet_explorer import evaluation_figures, figures
from dafnet_explorer.subjects import Subject

Rows = list[dict[str, Any]]
Numbers = Mapping[str, Any]

SORT = "effect"  # dimensions of z, the largest effect on top
MEASURES = {  # key of `evaluate`: title, section of the paper, what its numbers say
    "segmentation": (
        "Segmentation",
        "Sec. III-C, V",
        "Dice of masks from an image's own anatomy (single), from the other's (deformed) and from both (fused): 1 is "
        "perfect, and a deviation is that over subjects. Unmoved is the other's true mask as it lies.",
    ),
    "registration": (
        "Registration",
        "Sec. III-B",
        "How far, in pixels, a place is from its true partner in the other image, before and after alignment.",
    ),
    "probe": (
        "Probe",
        "Sec. V-H.1",
        "Share of images whose modality a linear classifier reads from z, on subjects that it never saw: near 1 if z "
        "holds how an image looks.",
    ),
    "swap": (
        "Swap",
        "Sec. V-H",
        "Share of images with the other's z that the probe, once they are encoded again, takes for the other modality.",
    ),
    "dependence": (
        "Dependence",
        "Sec. V-H.3",
        "Distance correlation of s and z: 0 if they are independent, but above it in any few subjects, so it is read "
        "beside the same with the subjects permuted.",
    ),
    "kl_per_dimension": (
        "KL",
        "Sec. V-F",
        "Nats that each dimension of z says about an image; one near 0 is idle, and an idle z is independent of s for "
        "no good reason.",
    ),
}
CONTENTS = {
    "report.html": "this page",
    "settings.json": "checkpoint, data, choices and versions that made it",
    "evaluate.json": "every number of evaluate, by the data that it judged",
    "decompose.npz": "every array of the decomposition",
    "traverse-MODALITY.npz": "images over the steps of each dimension of z, their correlation and difference",
    "dice.csv": "Dice of every mask of this slice",
    "reconstruction.csv": "absolute errors of its reconstructions",
    "z.csv": "its modality factors",
    "evaluate.csv": "the main numbers of evaluate, as on this page",
}
STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1a1a1a; --line: #dcdfe4; }
@media screen and (prefers-color-scheme: dark) { :root { --paper: #0e1117; --ink: #f2f2f2; --line: #3a3f4a; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 960px; margin: auto; padding: 1rem; }
p, code { overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin: 0.5rem 0 1rem; }
img { max-width: 100%; height: auto; vertical-align: top; }
table { border-collapse: collapse; font-size: 0.875rem; }
th, td { border: 1px solid var(--line); padding: 0.25rem 0.5rem; text-align: left; vertical-align: top; }
@media screen and (max-width: 640px) { img { max-width: none; width: 820px; } }
@media print { .wide { overflow: visible; } h2, h3 { break-after: avoid; } img, tr { break-inside: avoid; } }
"""
# the policy keeps even a hostile checkpoint's text from loading anything
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{style}</style></head><body><main>
{body}
</main></body></html>
"""


def report(
    checkpoint: Checkpoint,
    subject: Subject,
    found: Decomposition,
    kinds: Sequence[int | None],
    moved: Mapping[str, Traversal],
    metrics: Mapping[str, Numbers] | None,
    facts: Mapping[str, Any],
    link: str | None,
) -> bytes:
    """A ZIP with the members of CONTENTS.

    Args:
        found: the checkpoint's decomposition of the subject; kinds: its `channel_classes`.
        moved: a traversal of own anatomy and posterior mean, by modality; none for no such sheets.
        metrics: numbers of `evaluate` by the options that give them, such as "--data phantom"; None for those that
            the checkpoint carries.
        facts: `session.about` of the subject by `session.data_name`, with "checkpoint_file", its name in commands.
        link: address in the app that opens the same page again; None for the user's own files.

    Raises:
        ValueError: a link to the user's own files, or a traversal of a modality that the subject does not have.
    """
    if subject.uploaded and link:
        raise ValueError("the user's own files are in no link; expected None")
    if unknown := sorted(moved.keys() - set(found.names)):
        raise ValueError(f"there is a traversal of {unknown[0]}; the subject has {', '.join(found.names)}")
    settings = {
        **facts,
        "link": link,
        "checkpoint_written_with": checkpoint.versions,
        "versions": {"numpy": np.__version__, "torch": torch.__version__},
        "threads": torch.get_num_threads(),
        "classes": checkpoint.config.classes,
        "preparation": checkpoint.preparation.to_dict(),
        "trained_on": checkpoint.training["data"],
        "licence_of_the_data": checkpoint.training["data_licence"],
    }
    numbers = checkpoint.metrics if metrics is None else metrics
    tables = {
        "dice": figures.dice_table(found, subject.truth, checkpoint.config.classes, subject.why_no_truth),
        "reconstruction": _error_rows(found, subject),
        "z": _z_rows(found),
        "evaluate": [{"judged on": title} | row for title, n in numbers.items() for row in evaluate_rows(n)],
    }
    members = {
        "report.html": _page(checkpoint, subject, found, kinds, moved, metrics, settings, tables).encode(),
        "settings.json": evaluation_figures.as_json(settings, {}),
        "evaluate.json": evaluation_figures.as_json(numbers, {}),
        "decompose.npz": figures.numbers(found, subject.truth, subject.native, dict(facts)),
    }
    for name, traversal in moved.items():
        i = found.names.index(name)
        about = {**facts, "modality": name}
        safe = re.sub(r"[^\w.+-]", "_", name)  # a checkpoint may call its modalities anything
        members[f"traverse-{safe}.npz"] = figures.traverse_numbers(traversal, found.s[i], found.z_mean[i], about)
    members |= {f"{name}.csv": evaluation_figures.table_csv(rows, facts) for name, rows in tables.items()}
    return _zip(members)


def evaluate_rows(found: Numbers) -> list[dict[str, str]]:
    """The main numbers of `evaluate`, keys of MEASURES, as rows of text; n/a says why where that is known."""
    why = found.get("why", {})
    return [
        {"measure": MEASURES[key][0], "of": of, "value": _n(value, why.get(path)), "spread": around}
        for key, of, value, around, path in _main_numbers(found)
    ]


def _main_numbers(found: Numbers) -> Iterator[tuple[str, str, float | None, str, str]]:
    """(measure, what of, value, interval as text, dotted path) of each."""
    for name, made in found["segmentation"].items():
        for kind, v in made.items():
            spread = "" if v["dice_std"] is None else f"± {v['dice_std']:.3f}"
            yield "segmentation", f"{name}, {kind}", v["dice_mean"], spread, f"segmentation.{name}.{kind}.dice_mean"
        yield "segmentation", f"{name}, unmoved", found["copy"][name]["dice_mean"], "", f"copy.{name}.dice_mean"
    for when in ("before", "after"):
        key = f"error_{when}_px"
        yield "registration", f"{when}, pixels", found["registration"][key], "", f"registration.{key}"
    probe, dependence = found["probe"], found["dependence"]
    yield "probe", "all of z", probe["accuracy"], _span(probe["ci95"]), "probe.accuracy"
    for d, accuracy in enumerate(probe["per_dimension"] or (), 1):
        yield "probe", f"z{d} alone", accuracy, "", "probe.per_dimension"
    yield "probe", "chance", probe["chance"], "", "probe.chance"
    for way, v in found["swap"].items():
        yield "swap", way.replace("_to_", " in the style of "), v["accuracy"], "", f"swap.{way}.accuracy"
    for key, of in (
        ("dcor", "dCor, as in the paper"),
        ("null_dcor_mean", "dCor, subjects permuted"),
        ("dcor_squared_unbiased", "dCor², bias-corrected"),
        ("p_value", "p of the permutation"),
    ):
        if key in dependence:  # cards of older checkpoints know less
            yield "dependence", of, dependence[key], _span(dependence.get(f"{key}_ci95")), f"dependence.{key}"
    for d, nats in enumerate(found["kl_per_dimension"], 1):
        yield "kl_per_dimension", f"z{d}, nats", nats, "", "kl_per_dimension"


def _n(value: float | None, why: str | None) -> str:
    return (f"n/a: {why}" if why else "n/a") if value is None else f"{value:.3f}"


def _span(ci95: Sequence[float] | None) -> str:
    return f"{ci95[0]:.3f} to {ci95[1]:.3f} (95 %)" if ci95 else ""


def _error_rows(found: Decomposition, subject: Subject) -> Rows:
    """Reconstruction errors; inside the organs only where there is a truth."""
    return [
        {
            "modality": found.names[i],
            "anatomy": "own" if j is None else f"{found.names[j]}, deformed",
            "L1": everywhere,
            "L1 inside the organs": inside if inside == inside else "n/a",  # NaN is not itself
        }
        for _, i, j, everywhere, inside in reconstruction_errors(found, subject.truth)
    ]


def _z_rows(found: Decomposition) -> Rows:
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


def _page(
    checkpoint: Checkpoint,
    subject: Subject,
    found: Decomposition,
    kinds: Sequence[int | None],
    moved: Mapping[str, Traversal],
    metrics: Mapping[str, Numbers] | None,
    settings: Mapping[str, Any],
    tables: Mapping[str, Rows],
) -> str:
    """The HTML; whatever is not this module's own words is escaped."""
    classes, mask_colours = checkpoint.config.classes, checkpoint.colours
    colours = figures.channel_colours(kinds, mask_colours)
    numbers = checkpoint.metrics if metrics is None else metrics
    title = f"DAFNet report: {settings['data']}"

    def picture(made: Image.Image, alt: str) -> str:
        data = base64.b64encode(png(made, settings)).decode()
        size = f'width="{made.width}" height="{made.height}"'
        return _wide(f'<img {size} alt="{escape(alt)}" src="data:image/png;base64,{data}">', alt)

    legend = " · ".join(  # seven characters are a colour, and nothing that a style could go on with
        f'<span style="color: {escape(colour[:7])}">■</span> {escape(name)}'
        for name, colour in zip(classes[1:], mask_colours[1:], strict=True)
    )
    parts = [
        f"<h1>{escape(title)}</h1>",
        _p(
            f"One slice in {' and '.join(found.names)}, taken apart by a DAFNet (Chartsias et al., IEEE TMI 2021) into "
            "anatomy factors s, what is where, and modality factors z, how it looks; aligned, fused, segmented, and "
            "put together again. Made by DAFNet Explorer."
        ),
        _p("Not a medical device."),
        "<h2>Settings</h2>",
        _table([{"setting": key.replace("_", " "), "value": _text(value)} for key, value in settings.items()]),
        "<h2>Content and style</h2>",
        _p(
            "Each image, its anatomy, its z (bars from -3 to 3, whiskers of one standard deviation), the image put "
            "together from both, and the same anatomy with the other's z (Sec. III-A, III-D)."
        ),
        picture(figures.start_sheet(found, colours, LIGHT), "Images, anatomies, modality factors, reconstructions"),
        _table(tables["z"]),
        "<h2>Anatomy channels</h2>",
        _p("Every pixel belongs to one channel; below each, the share of pixels that it holds (Sec. III-A)."),
        picture(figures.channel_sheet(found, kinds, classes, colours, LIGHT), "Anatomy channels of each modality"),
    ]
    if found.pairs:
        parts += [
            "<h2>Alignment and fusion</h2>",
            _p("The grid shows where in the moving image the fixed one's pixels are taken from (Sec. III-B)."),
            picture(figures.warp_sheet(found, colours, LIGHT), "Fixed, moving, warped and fused anatomies"),
        ]
    parts += [
        "<h2>Masks</h2>",
        _p("Masks from single, deformed and fused anatomies, and their Dice with the truth (Sec. III-C)."),
        f"<p>{legend}</p>",
        picture(figures.mask_sheet(found, subject.truth, classes, mask_colours, LIGHT), "Masks over the images"),
        _table(tables["dice"]),
    ]
    if subject.native:
        native = figures.native_sheet(found, subject.native, mask_colours, LIGHT)
        parts += [_p("On the uploaded pixels:"), picture(native, "Fused masks on the uploaded pixels")]
    parts += [
        "<h2>Reconstructions</h2>",
        _p("Mean absolute errors of intensities in [-1, 1], over the image and inside the organs (Sec. III-D)."),
        picture(figures.reconstruction_sheet(found, subject.truth, LIGHT), "Reconstructions and their errors"),
        _table(tables["reconstruction"]),
    ]
    accuracies = next(iter(numbers.values()), {}).get("probe", {}).get("per_dimension")
    kl = kl_per_dimension(found)
    for name, traversal in moved.items():
        drawn = figures.traverse_sheet(traversal, kl[found.names.index(name)], accuracies, SORT, LIGHT)
        parts += [
            f"<h2>Traversal of z of {escape(name)}</h2>",
            _p(
                "The anatomy stays, one dimension of z at a time moves. Correlation is each pixel's with the "
                "dimension; effect is the mean absolute change from the first step to the last (Sec. V-H.2, Fig. 9)."
            ),
            picture(drawn, f"Images of {name} over each dimension of z"),
        ]
    parts += ["<h2>The checkpoint on whole data sets</h2>", *_judged(numbers, carried=metrics is None)]
    parts += ["<h2>Make it again</h2>", *_again(numbers, settings, carried=metrics is None)]
    parts += [
        "<h2>Beside this page</h2>",
        _table([{"file": file, "what": what} for file, what in CONTENTS.items()]),
        _p(
            "The code of DAFNet Explorer is MIT-licensed. Checkpoints, and what is made with them, are licensed by the "
            f"data that they were trained on; here {settings['trained_on']}: {settings['licence_of_the_data']}."
        ),
        _p("Not a medical device: nothing here is for diagnosis or treatment."),
    ]
    return PAGE.format(title=escape(title), style=STYLE, body="\n".join(parts))


def _judged(numbers: Mapping[str, Numbers], *, carried: bool) -> Iterator[str]:
    """The main numbers of `evaluate`, a table for each measure and data set."""
    if not numbers:
        yield _p("The checkpoint carries no numbers: it was not judged yet.")
        return
    yield _p("Numbers that the checkpoint carries." if carried else "Numbers of a judgement in the app.")
    for title, found in numbers.items():
        rows = evaluate_rows(found)
        yield f"<h3>{escape(title)}: {found['n_subjects']} subjects, {found['n_slices']} slices</h3>"
        for name, section, said in MEASURES.values():
            yield _p(f"{name}. {said} ({section})")
            yield _table([{k: v for k, v in row.items() if k != "measure"} for row in rows if row["measure"] == name])


def _again(numbers: Mapping[str, Numbers], settings: Mapping[str, Any], *, carried: bool) -> Iterator[str]:
    """How to get the same page and the same numbers."""
    if settings["link"]:
        yield f"<p>This report: open <code>{escape(settings['link'])}</code> of the app and download it.</p>"
    else:
        yield _p(
            "This report: give the app the same files and the checkpoint of this digest again; no link holds them."
        )
    for title, found in numbers.items():
        options = f"--data {found['data']}" if carried else title
        command = f"python -m dafnet_core.evaluate {settings['checkpoint_file']} {options}"
        yield f"<p>Numbers of {escape(title)}: <code>{escape(command)}</code></p>"


def _p(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _wide(inner: str, label: str) -> str:
    """What scrolls sideways inside its own box, by keyboard too."""
    return f'<div class="wide" role="region" tabindex="0" aria-label="{escape(label)}">{inner}</div>'


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    names = dict.fromkeys(name for row in rows for name, value in row.items() if value != "")
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(_text(row.get(name, '')))}</td>" for name in names) + "</tr>\n" for row in rows
    )
    return _wide(f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>", " and ".join(names))


def _text(value: Any) -> str:
    """A cell: words as they are, numbers to three places, all else as JSON."""
    if isinstance(value, str):
        return value
    return f"{value:.3f}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def _zip(members: Mapping[str, bytes]) -> bytes:
    """Members in their order, all of 1980-01-01, the earliest that a ZIP can say."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o644 << 16
            file.writestr(info, data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
