"""The tables of README from the cards of the shipped checkpoints: python -m tools.card_tables [--write]

Without --write it prints them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from dafnet_core.checkpoints.card_numbers import decimal
from dafnet_core.checkpoints.file import Checkpoint, load
from dafnet_core.evaluation.result import EvaluationResult
from dafnet_core.files import atomic_write

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BEGIN, END = "<!-- python -m tools.card_tables --write -->", "<!-- end of the tables -->"
HARDER = ("hard", "wide")  # of which only the LGE is shown


def tables(checkpoints: dict[str, Checkpoint]) -> str:
    """All tables as Markdown, of checkpoints by name."""
    first = {name: next(iter(c.metrics.values())) for name, c in checkpoints.items() if c.metrics}
    most = {name: max(c.metrics.values(), key=_known) for name, c in checkpoints.items() if c.metrics}
    return "\n\n".join(
        table
        for table in (
            _table(
                ("volume Dice", "", "single", "deformed", "fused", "other's mask", "absent classes shown"),
                (row for name, c in checkpoints.items() for row in _dice(name, c)),
            ),
            _table(
                ("", "alignment, pixels: before, after", "modality from z", "swapped styles", "own error"),
                (_factors(name, r) for name, r in first.items()),
            ),
            _table(
                (
                    *("anatomy s", "channels above 1 %", "speckle (truth)", "same channel in both (truth)"),
                    *("modality from shares, pooled maps (from those of masks)", "by a CNN, nats"),
                ),
                (_anatomy(name, r) for name, r in first.items()),
            ),
            _table(
                ("all measures", "subjects", "contrast from z, s, intensities: R^2", "masks kept under random styles"),
                (_slow(name, r) for name, r in most.items() if r.prior or r.style),
            ),
        )
        if table
    )


def _known(result: EvaluationResult) -> tuple[bool, int]:
    return result.prior is not None, result.n_subjects


def _dice(name: str, checkpoint: Checkpoint) -> Iterator[list[str]]:
    """Rows of a checkpoint: its modalities, and the target of harder data; absent classes are those of fused masks."""
    target = checkpoint.training.target
    for title, result in checkpoint.metrics.items():
        if _known(result)[0] and len(checkpoint.metrics) > 1:
            continue  # the same data with more subjects
        for modality, kinds in (result.segmentation or {}).items():
            if title in HARDER and modality != target:
                continue
            copy = (result.copy or {}).get(modality)
            found = [kinds.get(kind) for kind in ("single", "deformed", "fused")]
            yield [
                name,
                f"{modality}, `{title}`",
                *(decimal(summary.dice_volume_mean if summary else None) for summary in found),
                decimal(copy.dice_volume_mean if copy else None),
                decimal((found[2] or found[0]).false_positive.rate),
            ]


def _factors(name: str, r: EvaluationResult) -> list[str]:
    before, after = (r.registration.error_before_px, r.registration.error_after_px) if r.registration else (None, None)
    swaps = ", ".join(decimal(s.accuracy) for s in (r.swap or {}).values())
    errors = ", ".join(decimal(e.own_l1) for e in (r.reconstruction or {}).values())
    moved = "n/a" if before is None else f"{before:.2f}, {after:.2f}"
    return [name, moved, decimal(r.probe.accuracy if r.probe else None), swaps, errors]


def _anatomy(name: str, r: EvaluationResult) -> list[str]:
    channels = ", ".join(str(sum(share > 0.01 for share in shares)) for shares in (r.channel_occupancy or {}).values())
    speckle = ", ".join(decimal(s.share) for s in (r.speckle or {}).values())
    truth = decimal(next(iter(r.speckle.values())).truth_share if r.speckle else None)
    same = r.invariance.modality if r.invariance else None
    read = r.leakage
    linear = (read.occupancies, read.pooled) if read else (None, None)
    return [
        name,
        channels,
        f"{speckle or 'n/a'} ({truth})",
        f"{decimal(same.agreement if same else None)} ({decimal(same.bound if same else None)})",
        ", ".join(f"{decimal(x.accuracy)} ({decimal(x.truth_accuracy)})" if x else "n/a" for x in linear),
        decimal(read.cnn.excess_nats if read and read.cnn else None),
    ]


def _slow(name: str, r: EvaluationResult) -> list[str]:
    style = [x.best_mean_r2 for x in (r.style.z, r.style.s, r.style.oracle)] if r.style else [None] * 3
    kept = r.prior.dice_kept if r.prior else None
    return [name, str(r.n_subjects), ", ".join(map(decimal, style)), decimal(kept)]


def _table(head: tuple[str, ...], rows: Iterator[list[str]]) -> str:
    """A table in Markdown; "" without rows."""
    found = list(rows)
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *found)) if found else ""


def shipped() -> dict[str, Checkpoint]:
    """The checkpoints of the repository by name."""
    return {path.stem: load(path) for path in sorted((ROOT / "checkpoints").glob("*.safetensors"))}


def replaced(text: str, made: str) -> str:
    """A text with other tables between BEGIN and END; raises ValueError where it has no such place."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"expected a line {BEGIN} and below it a line {END}")
    return f"{before}{BEGIN}\n\n{made}\n\n{END}{after}"


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0 if all went well."""
    parser = argparse.ArgumentParser(prog="python -m tools.card_tables", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write them into README.md")
    made = tables(shipped())
    if parser.parse_args(arguments).write:
        atomic_write(README, replaced(README.read_text(), made).encode())
    else:
        print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
