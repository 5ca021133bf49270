"""HTML page of a report, one function per section."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from dafnet_core.analysis.decompose import kl_per_dimension
from dafnet_core.analysis.traversal import Traversal
from dafnet_core.checkpoints.card import options, selected_on
from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.drawing import LIGHT
from dafnet_core.evaluation.result import EvaluationResult
from dafnet_core.methods.decomposition import Decomposition
from dafnet_explorer.figures.decompose import channel_sheet, reconstruction_sheet, warp_sheet
from dafnet_explorer.figures.masks import mask_sheet, native_sheet
from dafnet_explorer.figures.pixels import channel_colours
from dafnet_explorer.figures.start import start_sheet
from dafnet_explorer.figures.traverse import probe_accuracies, traverse_sheet
from dafnet_explorer.report.elements import as_text, document, paragraph, picture, scrolling, scrubber, table
from dafnet_explorer.report.tables import MEASURES, Rows, evaluate_rows
from dafnet_explorer.subjects import Subject

SORT = "effect"  # dimensions of z, the largest effect on top
CONTENTS = {
    "report.html": "this page",
    "settings.json": "checkpoint, data, settings and versions",
    "evaluate.json": "all numbers of evaluate, by data set",
    "decompose.npz": "all arrays of the decomposition",
    "traverse-MODALITY.npz": "images over the steps of each dimension of z, their correlation and difference",
    "dice.csv": "Dice of all masks of this slice",
    "reconstruction.csv": "absolute errors of its reconstructions",
    "z.csv": "its modality factors",
    "evaluate.csv": "the main numbers of evaluate, as on this page",
}


def page(
    checkpoint: Checkpoint,
    subject: Subject,
    decomposition: Decomposition,
    kinds: Sequence[int | None],
    traversals: Mapping[str, Traversal],
    metrics: Mapping[str, EvaluationResult] | None,
    settings: Mapping[str, Any],
    tables: Mapping[str, Rows],
) -> str:
    """The HTML; all inserted texts are escaped."""
    known, stored = (checkpoint.metrics, True) if metrics is None else (metrics, False)
    numbers = {title: result for title, result in known.items() if evaluate_rows(result)}  # not the slow measures alone
    title = f"DAFNet report: {settings['data']}"
    parts = [
        *_introduction(title, decomposition),
        *_factors(checkpoint, subject, decomposition, kinds, settings, tables["z"]),
        *_masks(checkpoint, subject, decomposition, settings, tables["dice"]),
        *_reconstructions(subject, decomposition, settings, tables["reconstruction"]),
        *_traversals(decomposition, traversals, numbers, settings),
        "<h2>The checkpoint on whole data sets</h2>",
        *_evaluations(numbers, stored=stored),
        "<h2>Reproduction</h2>",
        *_reproduction(numbers, settings, stored=stored),
        "<h2>Settings</h2>",
        table([{"setting": key.replace("_", " "), "value": as_text(value)} for key, value in settings.items()]),
        *_files(settings),
    ]
    return document(title, parts)


def _introduction(title: str, decomposition: Decomposition) -> list[str]:
    """What the page shows, in two sentences: pictures come first."""
    return [
        f"<h1>{escape(title)}</h1>",
        paragraph(
            f"One slice in {' and '.join(decomposition.names)}, decomposed by a DAFNet (Chartsias et al., IEEE TMI "
            "2021) into anatomy factors s (structure) and modality factors z (appearance); aligned, fused, segmented "
            "and reconstructed. Made by DAFNet Explorer."
        ),
        paragraph("Not a medical device."),
    ]


def _factors(
    checkpoint: Checkpoint,
    subject: Subject,
    decomposition: Decomposition,
    kinds: Sequence[int | None],
    settings: Mapping[str, Any],
    z_rows: Rows,
) -> list[str]:
    """Anatomies, modality factors, and the warp if there are two modalities."""
    classes, colours = checkpoint.config.classes, channel_colours(kinds, checkpoint.colours)
    parts = [
        "<h2>Content and style</h2>",
        paragraph(
            "Each image, its anatomy, its z (bars from -3 to 3, whiskers of one standard deviation), the "
            "reconstruction, and the same anatomy with the other's z (Sec. III-A, III-D)."
        ),
        picture(
            start_sheet(decomposition, subject.scars, colours, LIGHT),
            "Images, anatomies, modality factors, reconstructions",
            settings,
        ),
        table(z_rows),
        "<h2>Anatomy channels</h2>",
        paragraph("Every pixel belongs to one channel; below each, the share of pixels that it holds (Sec. III-A)."),
        picture(
            channel_sheet(decomposition, kinds, classes, colours, LIGHT), "Anatomy channels of each modality", settings
        ),
    ]
    if decomposition.pairs and decomposition.aligned:
        parts += [
            "<h2>Alignment and fusion</h2>",
            paragraph("The grid shows where the moving image is sampled for each fixed pixel (Sec. III-B)."),
            picture(warp_sheet(decomposition, colours, LIGHT), "Fixed, moving, warped and fused anatomies", settings),
        ]
    return parts


def _masks(
    checkpoint: Checkpoint, subject: Subject, decomposition: Decomposition, settings: Mapping[str, Any], dice_rows: Rows
) -> list[str]:
    """Masks of every anatomy with their Dice; also on the user's pixels."""
    classes, mask_colours = checkpoint.config.classes, checkpoint.colours
    legend = " · ".join(  # seven characters: a colour without further style rules
        f'<span style="color: {escape(colour[:7])}">■</span> {escape(name)}'
        for name, colour in zip(classes[1:], mask_colours[1:], strict=True)
    )
    parts = [
        "<h2>Masks</h2>",
        paragraph(
            "Masks from single, deformed and fused anatomies, and their Dice with the ground truth (Sec. III-C)."
        ),
        f"<p>{legend}</p>",
        picture(
            mask_sheet(decomposition, subject.truth, classes, mask_colours, LIGHT), "Masks over the images", settings
        ),
        table(dice_rows),
    ]
    if subject.native:
        native = native_sheet(decomposition, subject.native, mask_colours, LIGHT)
        parts += [paragraph("On the uploaded pixels:"), picture(native, "Fused masks on the uploaded pixels", settings)]
    return parts


def _reconstructions(
    subject: Subject, decomposition: Decomposition, settings: Mapping[str, Any], error_rows: Rows
) -> list[str]:
    """Own and crosswise reconstructions with their errors."""
    return [
        "<h2>Reconstructions</h2>",
        paragraph("Mean absolute errors of intensities in [-1, 1], over the image and inside the organs (Sec. III-D)."),
        picture(
            reconstruction_sheet(decomposition, subject.truth, subject.scars, LIGHT),
            "Reconstructions and their errors",
            settings,
        ),
        table(error_rows),
    ]


def _traversals(
    decomposition: Decomposition,
    traversals: Mapping[str, Traversal],
    numbers: Mapping[str, EvaluationResult],
    settings: Mapping[str, Any],
) -> list[str]:
    """A contact sheet for each traversed modality."""
    parts = []
    accuracies = probe_accuracies(numbers)
    kl = kl_per_dimension(decomposition)
    for m, (name, traversal) in enumerate(traversals.items()):
        contact_sheet = traverse_sheet(traversal, kl[decomposition.names.index(name)], accuracies, SORT, LIGHT)
        parts += [
            f"<h2>Traversal of z of {escape(name)}</h2>",
            paragraph(
                "The anatomy is fixed, one dimension of z at a time varies. Correlation is each pixel's with the "
                "dimension; effect is the mean absolute change from the first step to the last (Sec. V-H.2, Fig. 9)."
            ),
            picture(contact_sheet, f"Images of {name} over each dimension of z", settings),
            paragraph("To scrub through a dimension: choose a step above its image, or press the arrow keys there."),
            scrolling(
                "".join(
                    scrubber(f"z{d + 1}", f"z-{m}-{d}", images, [f"{value:+.2f}" for value in traversal.values])
                    for d, images in enumerate(traversal.images)
                ),
                f"Steps of each dimension of z of {name}",
            ),
        ]
    return parts


def _evaluations(numbers: Mapping[str, EvaluationResult], *, stored: bool) -> Iterator[str]:
    """The main numbers of `evaluate`, one table per measure and data set."""
    if not numbers:
        yield paragraph("The checkpoint has no numbers: it was not evaluated yet.")
        return
    yield paragraph("Numbers stored in the checkpoint." if stored else "Numbers of an evaluation in the app.")
    for title, result in numbers.items():
        rows = evaluate_rows(result)
        yield f"<h3>{escape(title)}: {result.n_subjects} subjects, {result.n_slices} slices</h3>"
        if said := selected_on(result):
            yield paragraph(said)
        for name, section, description in MEASURES.values():
            measured = [{k: v for k, v in row.items() if k != "measure"} for row in rows if row["measure"] == name]
            if measured:
                yield paragraph(f"{name}. {description} ({section})")
                yield table(measured)


def _reproduction(
    numbers: Mapping[str, EvaluationResult], settings: Mapping[str, Any], *, stored: bool
) -> Iterator[str]:
    """How to reproduce the page and the numbers."""
    if settings["link"]:
        yield f"<p>This report: open <code>{escape(settings['link'])}</code> of the app and download it.</p>"
    else:
        yield paragraph(
            "This report: open the same files and the checkpoint with this digest in the app; no link contains them."
        )
    for title, result in numbers.items():
        chosen = options(result) if stored else title
        command = f"python -m dafnet_core.evaluate {settings['checkpoint_file']} {chosen}"
        yield f"<p>Numbers of {escape(title)}: <code>{escape(command)}</code></p>"


def _files(settings: Mapping[str, Any]) -> list[str]:
    """The ZIP's files, and the licences."""
    licence = settings.get("licence_of_the_images")
    images = [paragraph(f"The images are of a data set of the server. Its licence: {licence}.")] if licence else []
    return [
        "<h2>Files</h2>",
        table([{"file": file, "what": what} for file, what in CONTENTS.items()]),
        paragraph(
            "The code of DAFNet Explorer is MIT-licensed. The licence of checkpoints and of their outputs is that "
            f"of the training data; here {settings['trained_on']}: {settings['licence_of_the_data']}."
        ),
        *images,
        paragraph("Not a medical device: nothing here is for diagnosis or treatment."),
    ]
