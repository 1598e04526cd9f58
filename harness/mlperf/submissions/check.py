"""Checks a submission's tree: by MLPerf's own checker, or by the part of its rules that is here."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.loadgen import logs
from harness.loadgen.configuration import benchmarks
from harness.loadgen.configuration.settings import SEEDS, requirements
from harness.mlperf.audit import compliance
from harness.mlperf.audit.compliance_scripts import PAIR
from harness.mlperf.submissions import check_logs
from harness.mlperf.submissions.rounds import ENTRIES, MAPPING, RESNET50, RESULTS, Entry, Round
from harness.mlperf.submissions.submission import MAX_ACCURACY_LOG
from harness.mlperf.submissions.system import MODELLED, NOTES, OPTIONAL
from sw.errors import DnaError
from sw.host import children

DIVISIONS = ("closed", "open")
MEASUREMENTS = (
    "input_data_types",
    "retraining",
    "starting_weights_filename",
    "weight_data_types",
    "weight_transformations",
)
MAY_BE_EMPTY = {*OPTIONAL, "sw_notes"}
ROUNDING = 0.001  # percent

_RUN = Path("performance", "run_1")
_COUNTED = re.compile(r"^accuracy=(\d+\.?\d*)%, good=(\d+), total=(\d+)$", re.MULTILINE)
_HASH = re.compile(r"^hash=([0-9a-f]{64})$", re.MULTILINE)


def check(tree: Path, round_: Round) -> list[str]:
    """Findings by our own reading of the rules; none if all is well.

    Args:
        tree: of the submission.
        round_: of MLPerf.

    Raises:
        DnaError: there is no submission.
    """
    return [
        f"{place.relative_to(tree)}: {what}"
        for division, submitter, name in _systems(tree)
        for place, what in _system(division, submitter, name, round_)
    ]


def _systems(tree: Path) -> list[tuple[str, Path, str]]:
    """Division, submitter's folder and name of every system that is described or has results."""
    systems = [
        (division, submitter, name)
        for division in DIVISIONS
        for submitter in _folders(tree / division)
        for name in sorted(
            {folder.name for folder in _folders(submitter / "results")}
            | {file.stem for file in (submitter / "systems").glob("*.json")}
        )
    ]
    if not systems:
        raise DnaError(
            f"{tree} is no submission: it has no closed/ or open/SUBMITTER/results/SYSTEM"
        )
    return systems


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
    modelled = fields is not None and MODELLED in str(fields.get(NOTES))
    if not check_logs.text(submitter / "calibration.md"):
        yield submitter / "calibration.md", "the calibration document is missing, empty or no text"
    for model, entry in _models(submitter, name).items():
        yield from _model(submitter, name, model, entry, round_, modelled)


def _models(submitter: Path, name: str) -> dict[str, Entry]:
    """What the networks of a system are handed in as, by their folder; ResNet50 if there are none.

    In the open division a network has a name of its own.
    """
    own = _json(submitter / MAPPING) or {}
    folders = [folder.name for folder in _folders(submitter / "results" / name)]
    known = {folder: ENTRIES.get(str(own.get(folder, folder))) for folder in folders}
    found = {folder: entry for folder, entry in known.items() if entry is not None}
    return found or {RESNET50.name: RESNET50}


def _model(
    submitter: Path, name: str, model: str, entry: Entry, round_: Round, modelled: bool
) -> Iterator[tuple[Path, str]]:
    code = submitter / round_.place(round_.code, name, model, "")
    if not any(path.is_file() for path in code.rglob("*")):
        yield code, "the code is missing"
    tests = round_.tests_of(entry)
    for scenario in round_.scenarios:
        results = submitter / round_.place(RESULTS, name, model, scenario)
        if not results.is_dir():
            yield results, "the scenario is missing"
            continue
        yield from _measurements(
            submitter / round_.place(round_.measurements, name, model, scenario),
            round_.measurements_file.format(system=name, scenario=scenario),
            round_,
        )
        performance, accuracy = results / "performance" / "run_1", results / "accuracy"
        place = submitter / round_.place(round_.compliance, name, model, scenario)
        places = [performance, accuracy, *(place / test / _RUN for test in tests)]
        runs = {where: check_logs.read(where, scenario) for where in places}
        for run in runs.values():
            yield from check_logs.findings(run, modelled)
        if (detail := runs[performance].detail) is not None:
            yield from _performance(detail, scenario, round_, entry)
        if (detail := runs[accuracy].detail) is not None:
            yield from _accuracy(detail, entry)
        for test in tests:
            yield from _verdicts(place / test, test)
            tested = runs[place / test / _RUN].detail
            compared = place / PAIR[0] / _RUN if test == PAIR[1] else performance
            reference = runs[compared].detail
            if tested is not None and reference is not None:
                yield from _compliance(place / test, test, tested, reference, entry)


def _measurements(place: Path, name: str, round_: Round) -> Iterator[tuple[Path, str]]:
    file = place / name
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
        if not check_logs.text(path):
            yield path, "is missing, empty or no text"


def _performance(
    detail: logs.Detail, scenario: str, round_: Round, entry: Entry
) -> Iterator[tuple[Path, str]]:
    place = detail.folder
    if detail["result_validity"] != "VALID":
        yield place, "LoadGen calls it INVALID"
    for error in detail.errors:
        yield place, f"LoadGen reports an error: {error}"
    seeds = ("qsl_rng_seed", "sample_index_rng_seed", "schedule_rng_seed")
    for key, value in zip(seeds, SEEDS[round_.name], strict=True):
        if _value(detail, key) != value:
            yield place, f"{key} is {_value(detail, key)}, not {value}"
    required = requirements(detail["effective_scenario"], entry.benchmark)
    least = {
        "min_duration_ms": required.duration_ms,
        "performance_sample_count": required.samples,
        "samples_per_query": required.queries if scenario == "Offline" else 1,
        "min_query_count": 1 if scenario == "Offline" else _queries(scenario, round_),
    }
    for key, value in least.items():
        found = _value(detail, key)
        if not isinstance(found, int | float) or found < value:
            yield place, f"{key} is {found}, at least {value} is asked for"


def _value(detail: logs.Detail, key: str) -> Any:
    """A setting of a run; None if the log has none."""
    return detail.get(f"effective_{key}")


def _queries(scenario: str, round_: Round) -> int:
    return next((n for name, n in round_.min_queries.items() if name == scenario), 1)


def _accuracy(detail: logs.Detail, entry: Entry) -> Iterator[tuple[Path, str]]:
    place = detail.folder
    for error in detail.errors:
        yield place, f"LoadGen reports an error: {error}"
    samples = _value(detail, "accuracy_sample_count")
    needed = entry.benchmark.photographs
    if samples != needed:
        yield place, f"{samples} photographs, not the {needed} of {entry.benchmark.data}"
    text = place / "accuracy.txt"
    content = check_logs.text(text)
    found, digest = entry.pattern.search(content), _HASH.search(content)
    counted = _COUNTED.search(content)
    by_class = entry.benchmark is benchmarks.RESNET50
    if not found or not digest or (by_class and not counted):
        yield text, "has no accuracy or no hash"
    if by_class and counted:
        percent, good, total = float(counted[1]), int(counted[2]), int(counted[3])
        if total != samples or abs(percent - 100 * good / max(total, 1)) > ROUNDING:
            yield text, f"is not consistent, or not of the {samples} photographs of the run"
    if found and float(found[1]) < entry.target:
        yield text, f"accuracy is {found[1]} %, at least {entry.target:.3f} % is asked for"
    answers = place / logs.ACCURACY
    if not answers.is_file() or answers.stat().st_size > MAX_ACCURACY_LOG:
        yield answers, "is missing or not truncated"
    else:
        yield from check_logs.answers(answers, digest and digest[1])


def _compliance(
    place: Path, test: str, tested: logs.Detail, reference: logs.Detail, entry: Entry
) -> Iterator[tuple[Path, str]]:
    """Whether the logs say what the verdict says."""
    try:
        right, _ = compliance.speed(test, tested, reference, entry.benchmark)
    except DnaError as error:
        yield place, str(error)
    else:
        if not right and test != PAIR[0]:
            yield place, f"the logs do not say {compliance.PASS}"


def _verdicts(place: Path, test: str) -> Iterator[tuple[Path, str]]:
    verdicts = [compliance.PERFORMANCE_VERDICT]
    if test == "TEST01":
        verdicts.append(compliance.ACCURACY_VERDICT)
    for name in verdicts:
        path = place / name
        if compliance.PASS not in check_logs.text(path):
            yield path, f"does not say {compliance.PASS}"
    if test == "TEST01":
        yield from check_logs.answers(place / "accuracy" / logs.ACCURACY, None)


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
        DnaError: there is no submission, the checkout has no checker for the round, or it did not
            come to an end.
    """
    _systems(tree)
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
        done = children.run(
            [sys.executable, *program, *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
        )
    lines = (done.stdout + done.stderr).splitlines()
    if not any("SUMMARY" in line or "Results=" in line for line in lines):
        said = lines[-1] if lines else "nothing"
        raise DnaError(f"the checker of {reference} did not come to an end: it said {said}")
    findings = [line for line in lines if " ERROR" in line or " WARNING" in line]
    clean = done.returncode == 0 and not any(" ERROR" in line for line in lines)
    return clean, findings
