"""What became of models that set one field to another value; for the sweeps over each frontend."""

import dataclasses
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sw.errors import DnaError

OUTCOMES = ("equal", "refused", "impossible")
"""The runtime's result; a refusal of one line; accepted, but its own runtime does not run it."""


@dataclasses.dataclass(frozen=True)
class Row:
    """A model: the field that it sets, what it sets, and one of ``OUTCOMES`` or what is wrong."""

    field: str
    where: str
    found: str


def imported(import_file: Any, path: Path) -> tuple[Any, str]:
    """What ``import_file`` makes of ``path``; None, and what became of it, if it takes it not."""
    try:
        return import_file(path), ""
    except DnaError as error:
        several = "\n" in str(error)
        return None, f"a refusal of several lines: {error}" if several else "refused"
    except Exception as error:
        return None, f"a traceback: {error!r}"


def wrong(rows: Iterable[Row]) -> list[str]:
    """Those with none of ``OUTCOMES``, as lines."""
    return [f"{row.where}: {row.found}" for row in rows if row.found not in OUTCOMES]


def counted(rows: Iterable[Row], known: Counter[str]) -> None:
    """Count ``rows`` in, and print those that are wrong."""
    for row in rows:
        good = row.found in OUTCOMES
        known[row.found if good else "wrong"] += 1
        if not good:
            print(f"{row.where}: {row.found}", flush=True)


def told(known: Counter[str]) -> str:
    """How many there are of each, in a sentence."""
    counts = ", ".join(f"{known[name]} {name}" for name in (*OUTCOMES, "wrong"))
    return f"{known.total()} models: {counts}"
