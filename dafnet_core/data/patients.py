"""Several cases of one patient: who is whose, and that a split keeps them together."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from dafnet_core.data.splits import Split
from dafnet_core.data.studies import DataError

Patients = Mapping[str, str]  # patient of each case by name; {} where every case is a patient of its own

_PARTS_OF_A_SCAN = "slice|slc|sl|frame|fr|phase|z|t|time|tp|timepoint|visit|scan|session|ses|run|day|week|month|year"
_NUMBERED_PART = re.compile(rf"(?P<patient>.*\d)[_\-. ]*(?:{_PARTS_OF_A_SCAN})[_\-. ]*\d+", re.IGNORECASE)
_NUMBERED = re.compile(r"(?P<patient>.*\d.*?)[_\-. ]+(?P<number>\d+)")
_DATE = re.compile(r"(19|20)\d{6}")


def by_pattern(names: Sequence[str], pattern: str) -> dict[str, str]:
    """The patient in each case's name: the pattern's first group, or its whole match where it has none.

    Raises:
        DataError: a name in which the pattern finds nothing.
    """
    patients = {}
    for name in names:
        match = re.search(pattern, name)
        found = match and (match[1] if match.re.groups else match[0])
        if not found:
            raise DataError(
                f"subject_pattern {pattern!r} finds no patient in the name of the case {name!r}; change it so that its "
                "first group, or its whole match, is the patient in every name"
            )
        patients[name] = found
    return patients


def guessed(names: Sequence[str]) -> dict[str, str]:
    """The patients that names suggest, such as pat00 of pat00_sl01; {} where they suggest none.

    A name is split before a numbered part of a scan (slice, frame, visit and so on), or before a last number, where the
    rest has a number too. Numbers that are different in all names are those of the cases: site1_001, site2_002. What
    is left must be two or more patients, one of them with several cases.
    """
    parts = {name: match["patient"] for name in names if (match := _NUMBERED_PART.fullmatch(name))}
    numbers = {name: match for name in names if (match := _NUMBERED.fullmatch(name))}
    own = len({match["number"] for match in numbers.values()}) == len(numbers)
    if own and not all(_DATE.fullmatch(match["number"]) for match in numbers.values()):
        numbers = {}
    found = {name: match["patient"] for name, match in numbers.items()} | parts
    count = len(set(found.values()))
    return found if 1 < count < len(found) else {}


def spread(split: Split, patients: Patients) -> str:
    """A patient with cases in two parts of a split, as "'a' in train and 'b' in val are both of 'c'"; "" if none."""
    first: dict[str, tuple[str, str]] = {}
    for part, names in split.items():
        for name in names:
            if name in patients:
                other, there = first.setdefault(patients[name], (name, part))
                if there != part:
                    return f"{other!r} in {there} and {name!r} in {part} are both of {patients[name]!r}"
    return ""


def guess_note(split: Split, patients: Patients) -> tuple[str, ...]:
    """What to say of a split by case where names suggest that patients have several; () where they suggest nothing."""
    if not patients:
        return ()
    cases = defaultdict(list)
    for name, patient in patients.items():
        cases[patient].append(name)
    patient, several = max(cases.items(), key=lambda item: len(item[1]))
    seen = spread(split, patients)
    return (
        "the names of the cases look as if several were of one patient, and the split is by case"
        + (", so that a patient is in two of its parts" if seen else "")
        + f": {several[0]} and {several[1]} ({patient})"
        + (f"; {seen}" if seen else "")
        + '. Give --subject-pattern, a regular expression that finds the patient in a name, or "subjects": '
        '{"CASE": "PATIENT", ...} in dataset.json; if every case is a patient of its own, give --subject-pattern .+',
    )
