"""Checks a submission's tree: by MLPerf's own checker, or by the part of its rules that is here."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.loadgen import logs
from harness.loadgen.settings import SEEDS, requirements
from harness.mlperf import compliance
from harness.mlperf.rounds import ACCURACY_TARGET, RESULTS, Round
from harness.mlperf.submission import MAX_ACCURACY_LOG
from harness.mlperf.system import NOTES, OPTIONAL
from sw.errors import DnaError

DIVISIONS = ("closed", "open")
MEASUREMENTS = (
    "input_data_types",
    "retraining",
    "starting_weights_filename",
    "weight_data_types",
    "weight_transformations",
)
MAY_BE_EMPTY = {*OPTIONAL, "sw_notes"}


def check(tree: Path, round_: Round) -> list[str]:
    """Findings by our own reading of the rules; none if all is well.

    Args:
        tree: of the submission.
        round_: of MLPerf.

    Raises:
        DnaError: there is no submission.
    """
    systems = [
        (division, submitter, folder)
        for division in DIVISIONS
        for submitter in _folders(tree / division)
        for folder in _folders(submitter / "results")
    ]
    if not systems:
        raise DnaError(f"{tree} has no closed/ or open/SUBMITTER/results/SYSTEM: no submission")
    return [
        f"{place.relative_to(tree) if place.is_relative_to(tree) else place}: {what}"
        for division, submitter, folder in systems
        for place, what in _system(division, submitter, folder.name, round_)
    ]


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _system(division: str, submitter: Path, name: str, round_: Round) -> Iterator[tuple[Path, str]]:
    description = submitter / "systems" / f"{name}.json"
    fields = _json(description)
    if fields is None:
        yield description, "is missing or no JSON"
    else:
        for key, value in (("division", division), ("submitter", submitter.name)):
            if fields.get(key) != value:
                yield description, f"{key} is {fields.get(key)!r}, the folder says {value!r}"
        for key in sorted(set(fields) - MAY_BE_EMPTY):
            if fields[key] in (None, ""):
                yield description, f"{key} is empty"
        if "SIMULATED" in str(fields.get(NOTES)) and division == "closed":
            yield description, "a simulated machine is no entry for the closed division"
    for path, what in (
        (submitter / round_.place(round_.code, name, ""), "the code"),
        (submitter / "calibration.md", "the calibration document"),
    ):
        if not path.exists():
            yield path, f"{what} is missing"
    for scenario in round_.scenarios:
        results = submitter / round_.place(RESULTS, name, scenario)
        if not results.is_dir():
            yield results, "the scenario is missing"
            continue
        yield from _measurements(submitter, name, scenario, round_)
        yield from _performance(results / "performance" / "run_1", scenario, round_)
        yield from _accuracy(results / "accuracy")
        place = submitter / round_.place(round_.compliance, name, scenario)
        for test in round_.tests:
            yield from _compliance(place / test, test)


def _measurements(
    submitter: Path, name: str, scenario: str, round_: Round
) -> Iterator[tuple[Path, str]]:
    place = submitter / round_.place(round_.measurements, name, scenario)
    file = place / round_.measurements_file.format(system=name, scenario=scenario)
    fields = _json(file)
    if fields is None:
        yield file, "is missing or no JSON"
    else:
        for key in MEASUREMENTS:
            if not fields.get(key):
                yield file, f"{key} is empty"
    names = ("user.conf", "README.md", *(("mlperf.conf",) if round_.has_mlperf_conf else ()))
    for required in names:
        path = place / required
        if not path.is_file() or not path.stat().st_size:
            yield path, "is missing or empty"


def _performance(place: Path, scenario: str, round_: Round) -> Iterator[tuple[Path, str]]:
    detail = _detail(place)
    if detail is None:
        yield place, "LoadGen's logs are missing or damaged"
        return
    if detail["effective_scenario"] != scenario:
        yield place, f"is a run of {detail['effective_scenario']}"
        return
    if detail["result_validity"] != "VALID":
        yield place, "LoadGen calls it INVALID"
    for error in detail.errors:
        yield place, f"LoadGen reports an error: {error}"
    seeds = ("qsl_rng_seed", "sample_index_rng_seed", "schedule_rng_seed")
    for key, value in zip(seeds, SEEDS[round_.name], strict=True):
        if detail[f"effective_{key}"] != value:
            yield place, f"{key} is {detail[f'effective_{key}']}, not {value}"
    required = requirements(detail["effective_scenario"])
    least = {
        "min_duration_ms": required.duration_ms,
        "performance_sample_count": required.samples,
        "samples_per_query": required.queries if scenario == "Offline" else 1,
        "min_query_count": 1 if scenario == "Offline" else _queries(scenario, round_),
    }
    for key, value in least.items():
        if detail[f"effective_{key}"] < value:
            yield place, f"{key} is {detail[f'effective_{key}']}, at least {value} is asked for"


def _queries(scenario: str, round_: Round) -> int:
    return next((n for name, n in round_.min_queries.items() if name == scenario), 1)


def _accuracy(place: Path) -> Iterator[tuple[Path, str]]:
    detail = _detail(place)
    if detail is None:
        yield place, "LoadGen's logs are missing or damaged"
        return
    for error in detail.errors:
        yield place, f"LoadGen reports an error: {error}"
    samples, needed = detail["qsl_reported_total_count"], 50_000
    if samples != needed:
        yield place, f"{samples} photographs, not the {needed} of ImageNet's validation set"
    text = place / "accuracy.txt"
    content = text.read_text() if text.is_file() else ""
    found = re.search(r"^accuracy=([\d.]+)%", content, re.MULTILINE)
    if not found or not re.search(r"^hash=\w+$", content, re.MULTILINE):
        yield text, "has no accuracy or no hash"
    elif float(found[1]) < ACCURACY_TARGET:
        yield text, f"accuracy is {found[1]} %, at least {ACCURACY_TARGET:.3f} % is asked for"
    answers = place / logs.ACCURACY
    if not answers.is_file() or answers.stat().st_size > MAX_ACCURACY_LOG:
        yield answers, "is missing or not truncated"


def _compliance(place: Path, test: str) -> Iterator[tuple[Path, str]]:
    if _detail(place / "performance" / "run_1") is None:
        yield place, "LoadGen's logs are missing or damaged"
    verdicts = [compliance.PERFORMANCE_VERDICT]
    if test == "TEST01":
        verdicts.append(compliance.ACCURACY_VERDICT)
    for name in verdicts:
        path = place / name
        if not path.is_file() or compliance.PASS not in path.read_text():
            yield path, f"does not say {compliance.PASS}"


def _detail(folder: Path) -> logs.Detail | None:
    try:
        return logs.Detail(folder) if (folder / logs.SUMMARY).is_file() else None
    except (OSError, ValueError, KeyError):
        return None


def _json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def check_officially(tree: Path, round_: Round, reference: Path) -> tuple[bool, list[str]]:
    """The verdict of MLPerf's checker.

    Args:
        tree: of the submission.
        round_: of MLPerf.
        reference: a checkout of mlcommons/inference of that round or later.

    Returns:
        Whether there are no errors, and the lines that say what it found.

    Raises:
        DnaError: the checkout has no checker for the round, or it did not come to an end.
    """
    folder = (reference / "tools" / "submission").absolute()
    if (folder / "submission_checker" / "main.py").is_file():
        program = ["-m", "submission_checker.main"]
    elif (folder / "submission-checker.py").is_file():
        program = ["submission-checker.py"]
    else:
        raise DnaError(f"{reference} has no submission checker in tools/submission")
    with tempfile.TemporaryDirectory() as work:
        csv = str(Path(work) / "summary.csv")
        arguments = ["--input", str(tree.absolute()), "--version", round_.name, "--csv", csv]
        done = subprocess.run(
            [sys.executable, *program, *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    lines = (done.stdout + done.stderr).splitlines()
    if not any("SUMMARY" in line or "Results=" in line for line in lines):
        said = lines[-1] if lines else "nothing"
        raise DnaError(f"the checker of {reference} did not come to an end: it said {said}")
    findings = [line for line in lines if " ERROR" in line or " WARNING" in line]
    clean = done.returncode == 0 and not any(" ERROR" in line for line in lines)
    return clean, findings
