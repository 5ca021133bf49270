"""All results of one slice in one ZIP: a self-contained page, arrays, tables, the numbers of `evaluate`.

The same settings give the same bytes: no clock is read, members keep their order. This requires the same versions and
number of threads, which are recorded: other rounding moves single pixels to another channel. Of an upload it contains
pixels and results, but no name.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from dafnet_core.analysis.traversal import Traversal
from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.evaluation.result import EvaluationResult
from dafnet_core.methods.decomposition import Decomposition
from dafnet_explorer.figures import decompose, traverse
from dafnet_explorer.figures.downloads import as_json, table_csv
from dafnet_explorer.figures.masks import dice_rows, dice_table
from dafnet_explorer.report.page import page
from dafnet_explorer.report.tables import error_rows, evaluate_csv_rows, z_rows
from dafnet_explorer.subjects import Subject


def report(
    checkpoint: Checkpoint,
    subject: Subject,
    decomposition: Decomposition,
    kinds: Sequence[int | None],
    traversals: Mapping[str, Traversal],
    metrics: Mapping[str, EvaluationResult] | None,
    facts: Mapping[str, Any],
    link: str | None,
) -> bytes:
    """A ZIP with the members of `page.CONTENTS`.

    Args:
        decomposition: the checkpoint's decomposition of the subject; kinds: its `channel_classes`.
        traversals: traversals of own anatomy and posterior mean, by modality; may be empty.
        metrics: numbers of `evaluate` by its options, such as "--data phantom"; None for those stored in the
            checkpoint.
        facts: `provenance.about` of the subject by `provenance.data_name`, with "checkpoint_file", its name in
            commands.
        link: absolute address that opens the same page of the app; None for the user's files.

    Raises:
        ValueError: a link to the user's files, or a traversal of a modality that the subject does not have.
    """
    if subject.uploaded and link:
        raise ValueError("uploads have no link; expected None")
    if unknown := sorted(traversals.keys() - set(decomposition.names)):
        raise ValueError(f"there is a traversal of {unknown[0]}; the subject has {', '.join(decomposition.names)}")
    settings = _settings(checkpoint, facts, link)
    numbers = checkpoint.metrics if metrics is None else metrics
    classes, truth = checkpoint.config.classes, subject.truth
    tables = {  # on the page; the files hold numbers alone
        "dice": dice_table(decomposition, truth, classes, subject.why_no_truth),
        "reconstruction": error_rows(decomposition, subject),
        "z": z_rows(decomposition),
    }
    rows = [{"judged on": title} | row for title, n in numbers.items() for row in evaluate_csv_rows(n)]
    files = tables | {"dice": dice_rows(decomposition, truth, classes), "evaluate": rows}
    members = {
        "report.html": page(checkpoint, subject, decomposition, kinds, traversals, metrics, settings, tables).encode(),
        "settings.json": as_json(settings, {}),
        "evaluate.json": as_json({title: n.to_json() for title, n in numbers.items()}, {}),
        "decompose.npz": decompose.numbers(decomposition, truth, subject.native, dict(facts)),
    }
    for name, traversal in traversals.items():
        s, z = (factor[decomposition.names.index(name)] for factor in (decomposition.s, decomposition.z_mean))
        about = {**facts, "modality": name}
        safe = re.sub(r"[^\w.+-]", "_", name)  # names of modalities in a checkpoint are arbitrary
        members[f"traverse-{safe}.npz"] = traverse.traverse_numbers(traversal, s, z, about)
    members |= {f"{name}.csv": table_csv(rows, facts) for name, rows in files.items()}
    return _zip(members)


def _settings(checkpoint: Checkpoint, facts: Mapping[str, Any], link: str | None) -> dict[str, Any]:
    """What reproduces a report, and what made it."""
    return {
        **facts,
        "link": link,
        "checkpoint_written_with": checkpoint.versions,
        "versions": {"numpy": np.__version__, "torch": torch.__version__},
        "threads": torch.get_num_threads(),
        "classes": checkpoint.config.classes,
        "preparation": checkpoint.preparation.to_dict(),
        "trained_on": checkpoint.training.data,
        "licence_of_the_data": checkpoint.training.data_licence,
    }


def _zip(members: Mapping[str, bytes]) -> bytes:
    """Members in their order, all dated 1980-01-01, the earliest date of the format."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o644 << 16
            file.writestr(info, data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
