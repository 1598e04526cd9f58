"""Whether the logs in a submission are whole, and say the same of a run in all their files."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from harness.loadgen import logs
from harness.loadgen.results.score import ACCURACY_ONLY
from harness.mlperf.submissions.submission import KEPT
from sw.errors import DnaError

Finding = tuple[Path, str]

_ENDED = re.compile(r"^(?:No errors|1 ERROR|\d+ ERRORS) encountered", re.MULTILINE)
_MERIT = re.compile(
    r"^(?:[\d.]+th percentile latency \(ns\)|Samples per second) *: *(\d[\d.e+]*)$", re.MULTILINE
)
_DIGITS = 6
"""Of a figure in the summary."""


def text(path: Path) -> str:
    """What a file says; nothing if it is missing or no text."""
    try:
        return path.read_text() if path.is_file() else ""
    except (OSError, UnicodeDecodeError):
        return ""


@dataclasses.dataclass(frozen=True)
class Run:
    """The logs of a run.

    Attributes:
        place: where they are.
        detail: what the detail file says; None: nothing that counts.
        damage: why not: it is damaged, or of another run.
    """

    place: Path
    detail: logs.Detail | None
    damage: str = ""


def read(place: Path, scenario: str) -> Run:
    """The logs in ``place``.

    Args:
        place: a folder called ``accuracy`` is to hold those of an accuracy run.
        scenario: that it is to be a run of.
    """
    try:
        detail = logs.Detail(place)
        ran, mode = detail["effective_scenario"], detail["effective_test_mode"]
        if ran != scenario:
            return Run(place, None, f"is a run of {ran}")
        if (mode == ACCURACY_ONLY) != (place.name == "accuracy"):
            return Run(place, None, f"is a run in mode {mode}")
        if mode != ACCURACY_ONLY:
            _result(detail)
    except DnaError as error:
        return Run(place, None, f"LoadGen's logs are missing or damaged: {error}")
    return Run(place, detail)


def _result(detail: logs.Detail) -> tuple[str, float]:
    """The verdict and the figure of merit of a performance run."""
    merit = detail.number(logs.MERIT[detail["effective_scenario"]])
    return str(detail["result_validity"]), float(f"{merit:.{_DIGITS}g}")


def findings(run: Run, modelled: bool) -> Iterator[Finding]:
    """What is wrong with a run: that nothing can be said of it, or with its summary.

    Args:
        run: its logs.
        modelled: whether both files must say that the times are modelled.
    """
    if run.detail is None:
        yield run.place, run.damage
        return
    path, detail = run.place / logs.SUMMARY, run.detail
    said = text(path)
    if not _ENDED.search(said):
        yield path, "is missing or damaged"
        return
    if modelled and (detail.get(logs.TIMING) is None or "\nTiming : modelled" not in said):
        yield run.place, "its logs do not say that the times are modelled"
    if detail["effective_test_mode"] != ACCURACY_ONLY:
        result, merit = _result(detail)
        found = [float(f"{float(figure):.{_DIGITS}g}") for figure in _MERIT.findall(said)]
        if f"Result is : {result}" not in said or found != [merit]:
            yield path, f"has another result than {logs.DETAIL}"


def answers(path: Path, digest: str | None) -> Iterator[Finding]:
    """What is wrong with a log of answers, which may have lost its middle to become short.

    Args:
        path: of the log.
        digest: sha256 of the whole log, if it is known.
    """
    content = path.read_bytes() if path.is_file() else b""
    try:
        whole = bool(logs.raw_answers(path))
    except DnaError:
        whole = False
    ends = content.startswith(b"[") and content.rstrip().endswith(b"]")
    if whole and digest not in (None, hashlib.sha256(content).hexdigest()):
        yield path, "has another hash"
    if not whole and not (ends and len(content) >= 2 * KEPT):
        yield path, "is missing or damaged"
