"""MLPerf's own verification scripts of the compliance tests, run out of a checkout.

Two layouts are known. Rounds since v2.0 have ``compliance/TEST``. v1.1 has
``compliance/nvidia/TEST`` and one script for TEST04-A and TEST04-B; its scripts look for the 90th
percentile under the name that LoadGen gave it then, so the summaries that they are handed have it
under that name.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.loadgen import logs
from harness.mlperf.audit.compliance import ACCURACY_VERDICT, PASS, PERFORMANCE_VERDICT, Verdict
from sw.errors import DnaError
from sw.host import children

SCRIPT = "run_verification.py"
PAIR = ("TEST04-A", "TEST04-B")
"""Two runs of one test of v1.1, compared with each other; the script is with the first."""

_OF_V1_1 = "nvidia"
_NAME, _NAME_IN_V1_1 = "90.0th percentile latency", "90th percentile latency"


def find(test: str, reference: Path) -> Path | None:
    """The script for a test in a checkout of mlcommons/inference, if it has one."""
    folder = PAIR[0] if test in PAIR else test
    places = (reference / "compliance" / folder, reference / "compliance" / _OF_V1_1 / folder)
    return next((place / SCRIPT for place in places if (place / SCRIPT).is_file()), None)


def check(reference: Path, tests: Sequence[str]) -> None:
    """Fail before the work starts if a checkout judges none of the tests.

    Raises:
        DnaError: it has no script for any of them.
    """
    if not any(find(test, reference) for test in tests):
        raise DnaError(
            f"{reference} has no compliance/TEST/{SCRIPT} for {', '.join(tests)}; name a checkout "
            "of mlcommons/inference"
        )


def verify(test: str, run: Path, performance: Path, accuracy: Path, reference: Path) -> Verdict:
    """Judge a test by MLPerf's script.

    Arguments are those of :func:`harness.mlperf.audit.compliance.verify`.

    Args:
        test: which.
        run: LoadGen's logs of the test.
        performance: of the run to compare with: the performance run, for TEST04-B the TEST04-A run.
        accuracy: of the accuracy run.
        reference: a checkout of mlcommons/inference.

    Raises:
        DnaError: the checkout has no script for this test, the script comes to no verdict, or logs
            are missing.
    """
    script = find(test, reference)
    if script is None:
        raise DnaError(f"{reference} has no compliance/{test}/{SCRIPT}")
    older = script.parents[1].name == _OF_V1_1
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        results, tested = work / "results", work / "test"
        try:
            _copy(performance, results / "performance" / "run_1", older)
            _copy(accuracy, results / "accuracy", older)
            _copy(run, tested, older)
        except (OSError, UnicodeDecodeError) as error:
            raise DnaError(f"cannot copy the logs for {script}: {error}") from error
        if test in PAIR:
            compared = ("-a", str(results / "performance" / "run_1"), "-b", str(tested))
        else:
            compared = ("-r", str(results), "-c", str(tested))
        dtype = ("--dtype", "float32") if test == "TEST01" else ()
        done = children.run(
            [sys.executable, str(script.resolve()), *compared, "-o", str(work / "out"), *dtype],
            cwd=work,
            env=_environment(),
            capture_output=True,
            text=True,
            errors="replace",
        )
        speed = _said(work / "out", PERFORMANCE_VERDICT)
        answers = _said(work / "out", ACCURACY_VERDICT)
    if not speed:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise DnaError(f"{script} failed: {said}")
    right = PASS in answers if test == "TEST01" else None
    return Verdict(PASS in speed, right, speed, answers)


def _copy(source: Path, target: Path, older: bool) -> None:
    target.mkdir(parents=True)
    for name in (logs.SUMMARY, logs.DETAIL, logs.ACCURACY):
        shutil.copyfile(source / name, target / name)
    if older:
        summary = target / logs.SUMMARY
        summary.write_text(summary.read_text().replace(_NAME, _NAME_IN_V1_1))


def _environment() -> dict[str, str]:
    """The scripts start ``python3``, which must have NumPy as this one has."""
    path = os.environ.get("PATH", os.defpath)
    return {**os.environ, "PATH": os.pathsep.join((str(Path(sys.executable).parent), path))}


def _said(output: Path, name: str) -> str:
    """What the script wrote; TEST04 of v1.1 writes it for the first of the pair."""
    found = sorted(output.rglob(name))
    return found[0].read_text(errors="replace") if found else ""
