"""MLPerf's compliance tests: what LoadGen is told in each, and the verdict.

- **TEST01**: a performance run logs the answers of a sample of its queries. They must be those of
  the accuracy run, and the speed that of the performance run, within 10 %.
- **TEST04**: a performance run asks for one photograph over and over. It must not be more than 10 %
  faster: nobody keeps answers. (v1.1 compares two such runs: TEST04-A asks for different ones.)
- **TEST05** (v1.1): other seeds. The speed must be that of the performance run, within 10 %.

Below 0.2 ms of latency the threshold is 20 %. The rules are read here from MLPerf's description of
them; with a checkout of MLPerf's code its own scripts judge
(:mod:`harness.mlperf.audit.compliance_scripts`).
"""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

from harness.loadgen import logs
from harness.loadgen.configuration.benchmarks import RESNET50, Benchmark
from sw.errors import DnaError

PERFORMANCE_ONLY = 2  # a test's mode, as LoadGen numbers them in its configuration
_TARGET = "accuracy_log_sampling_target"  # of other benchmarks another one
_SAMPLED = {"accuracy_log_rng_seed": 720381539243781796, _TARGET: RESNET50.sampled}
_SAME = {
    "performance_issue_unique": 0,
    "performance_issue_same": 1,
    "performance_issue_same_index": 3,
}
_UNIQUE = {"performance_issue_unique": 1, "performance_issue_same": 0}
_OTHER_SEEDS = {
    "qsl_rng_seed": 313588358309856706,
    "sample_index_rng_seed": 471397156132239067,
    "schedule_rng_seed": 413914573387865862,
}
AUDITS = {
    "TEST01": _SAMPLED,
    "TEST04": _SAME,
    "TEST04-A": _UNIQUE,
    "TEST04-B": _SAME,
    "TEST05": _OTHER_SEEDS,
}
MAY_BE_INVALID = ("TEST04-A",)
"""Every photograph once: the run ends when all were asked for, which LoadGen calls INVALID."""

PASS, FAIL = "TEST PASS", "TEST FAIL"
THRESHOLD, QUICK_THRESHOLD = 0.10, 0.20
QUICK_NS = 200_000
ACCURACY_VERDICT, PERFORMANCE_VERDICT = "verify_accuracy.txt", "verify_performance.txt"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a test showed.

    Attributes:
        performance: whether the speed is right.
        accuracy: whether the answers are; None if the test is not about them.
        performance_text: for ``verify_performance.txt``.
        accuracy_text: for ``verify_accuracy.txt``.
    """

    performance: bool
    accuracy: bool | None
    performance_text: str
    accuracy_text: str = ""

    @property
    def passed(self) -> bool:
        """Whether all of it is right."""
        return self.performance and self.accuracy is not False


def audit_config(test: str, benchmark: Benchmark = RESNET50) -> str:
    """LoadGen's settings of a test, for a file that ``dna loadgen --audit-config`` reads.

    Raises:
        DnaError: there is no such test.
    """
    values = {"mode": PERFORMANCE_ONLY, **_audit(test, benchmark)}
    return "".join(f"*.*.{key} = {value}\n" for key, value in values.items())


def _audit(test: str, benchmark: Benchmark) -> dict[str, int]:
    if test not in AUDITS:
        raise DnaError(f"no compliance test {test!r}; there are {', '.join(AUDITS)}")
    audit = dict(AUDITS[test])
    if _TARGET in audit:
        audit[_TARGET] = benchmark.sampled
    return audit


def verify(
    test: str, run: Path, performance: Path, accuracy: Path, benchmark: Benchmark = RESNET50
) -> Verdict:
    """Judge a test by our own reading of its rule.

    Args:
        test: one of ``AUDITS``.
        run: LoadGen's logs of the test.
        performance: of the run to compare with: the performance run, for TEST04-B the TEST04-A run.
        accuracy: of the accuracy run; TEST01 compares answers with it.
        benchmark: whose test it is.

    Raises:
        DnaError: logs are missing or damaged, or of a run with other settings than the test's.
    """
    _audit(test, benchmark)
    right, text = speed(test, logs.Detail(run), logs.Detail(performance), benchmark)
    if test != "TEST01":
        return Verdict(right, None, text)
    same, answers = _answers(run, accuracy)
    return Verdict(right, same, text, answers)


def speed(
    test: str, detail: logs.Detail, reference: logs.Detail, benchmark: Benchmark = RESNET50
) -> tuple[bool, str]:
    """Whether the seconds per image are within the threshold, and the text that says so.

    Args:
        test: one of ``AUDITS``.
        detail: of the test.
        reference: of the run to compare with.
        benchmark: whose test it is.

    Raises:
        DnaError: a log is damaged, or of a run with other settings than the test's.
    """
    audit = _audit(test, benchmark)
    for key, value in audit.items():
        found = detail.number(f"effective_{key}")
        if found != value:
            raise DnaError(
                f"{detail.folder} is no run of {test}: its {key} is {found}, not {value}"
            )
    machines = [log.get(logs.TIMING) for log in (detail, reference)]
    if machines[0] != machines[1]:
        raise DnaError(
            f"{detail.folder} and {reference.folder} are of different machines: "
            f"{' and '.join(machine or 'measured on a computer' for machine in machines)}"
        )
    scenario = detail["effective_scenario"]
    lines = [f"Speed of {test}, judged by open DNA's reading of the rule"]
    if scenario != reference["effective_scenario"]:
        lines.append(f"{scenario} is compared with {reference['effective_scenario']}")
        return False, "\n".join([*lines, FAIL, ""])
    ours, theirs = _nanoseconds(detail), _nanoseconds(reference)
    images = detail.number("effective_samples_per_query") if scenario == "MultiStream" else 1
    quick = scenario != "Offline" and theirs <= QUICK_NS * images
    threshold = QUICK_THRESHOLD if quick else THRESHOLD
    judged = {"TEST04-A": (reference,), "TEST04-B": (detail,)}.get(test, (detail, reference))
    valid = all(log["result_validity"] == "VALID" for log in judged)
    slow_counts = test in ("TEST01", "TEST05")
    right = theirs / (1 + threshold) <= ours and (
        not slow_counts or ours <= theirs * (1 + threshold)
    )
    lines += [
        f"scenario: {scenario}, nanoseconds per query (Offline: per image)",
        f"reference: {theirs:.1f}",
        f"test: {ours:.1f}, {ours / theirs - 1:+.3%} of at most "
        f"{'+-' if slow_counts else '-'}{threshold:.0%}",
        f"valid: {'yes' if valid else 'NO'}",
        PASS if right and valid else FAIL,
    ]
    return right and valid, "\n".join([*lines, ""])


def _nanoseconds(detail: logs.Detail) -> float:
    scenario = detail["effective_scenario"]
    key = logs.MERIT.get(scenario, logs.MERIT["SingleStream"])
    value = detail.number(key)
    if value <= 0:
        raise DnaError(f"no speed can be told from {key} {value}")
    return 1e9 / value if scenario == "Offline" else value


def _answers(run: Path, accuracy: Path) -> tuple[bool, str]:
    ours, theirs = (logs.raw_answers(folder / logs.ACCURACY) for folder in (run, accuracy))
    known = dict(theirs)
    compared = [(index, data) for index, data in ours if index in known]
    different = sorted({index for index, data in compared if known[index] != data})
    right = bool(compared) and len(compared) == len(ours) and not different
    lines = [
        "Answers of TEST01, judged by open DNA's reading of the rule",
        f"answers of the accuracy run: {len(theirs)}",
        f"answers of the test: {len(ours)}, of samples that the accuracy run has: {len(compared)}",
        f"different: {len(different)}{f', of samples {different[:10]}' if different else ''}",
        PASS if right else FAIL,
    ]
    return right, "\n".join([*lines, ""])


def write(test: str, verdict: Verdict, run: Path, output: Path) -> None:
    """Write what a submission has of a test: the verdicts and LoadGen's logs.

    Args:
        test: one of ``AUDITS``.
        verdict: on it.
        run: LoadGen's logs of the test.
        output: a folder that is made.

    Raises:
        DnaError: it cannot be written.
    """
    try:
        place = output / "performance" / "run_1"
        place.mkdir(parents=True, exist_ok=True)
        for name in (logs.SUMMARY, logs.DETAIL):
            shutil.copyfile(run / name, place / name)
        (output / PERFORMANCE_VERDICT).write_text(verdict.performance_text)
        if verdict.accuracy is not None:
            (output / "accuracy").mkdir(exist_ok=True)
            shutil.copyfile(run / logs.ACCURACY, output / "accuracy" / logs.ACCURACY)
            (output / ACCURACY_VERDICT).write_text(verdict.accuracy_text)
    except OSError as error:
        raise DnaError(f"cannot write {output}: {error}") from error
