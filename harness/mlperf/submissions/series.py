"""The runs of a submission, one process each, that survive a crash.

    FOLDER/series.json                     what the runs are of
    FOLDER/SingleStream/user.conf          LoadGen's settings of a scenario
    FOLDER/SingleStream/performance/       of a finished run: logs, figures.json, user.conf
    FOLDER/SingleStream/TEST01/            likewise
    FOLDER/SingleStream/.performance-*/    of a run that is under way, or was when all ended

A run's folder gets its name when the run is through, so it is either whole or absent. What is whole
is kept and never run again; an interruption at any moment costs the run in progress.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

from harness.loadgen.configuration.settings import Scenario
from harness.loadgen.logs import LOGS
from harness.mlperf.audit import compliance
from harness.mlperf.submissions.rounds import RESNET50, Entry, Round
from sw import artifact
from sw.errors import DnaError
from sw.host import children, digests

ACCURACY, PERFORMANCE = "accuracy", "performance"
FIGURES = "figures.json"
USER_CONF = "user.conf"
_IDENTITY = "series.json"
_INVALID = 1
ATTEMPTS = 3
"""A busy moment makes a run miss its pace; that is not the end of a series."""

_AGAIN = "remove it, and the same command does the run again"


@dataclasses.dataclass(frozen=True)
class Run:
    """One run: ``accuracy``, ``performance`` or a compliance test, in a scenario."""

    scenario: Scenario
    name: str

    def __str__(self) -> str:
        return f"{self.scenario} {self.name}"


class Series:
    """All runs that a round asks for.

    Attributes:
        folder: of the runs.
        round: of MLPerf.
        entry: what the network is handed in as.
        tests: compliance tests.
        runs: in the order in which they are done: what fails soonest comes first.
    """

    def __init__(
        self,
        folder: Path,
        round_: Round,
        tested: Path,
        options: tuple[str, ...],
        photographs: Path,
        timing: Path | None = None,
        entry: Entry = RESNET50,
    ) -> None:
        """Open a series, or begin one.

        Args:
            folder: of the runs.
            round_: of MLPerf.
            tested: the artifact.
            options: for ``dna loadgen``, the same in every run; paths in them absolute.
            photographs: the list of them.
            timing: what proves the clock, if a file does.
            entry: what the network is handed in as.

        Raises:
            DnaError: the folder has finished runs of something else, or cannot be written; or the
                round has no such benchmark.
        """
        self.folder = folder.absolute()
        self.round, self.entry = round_, entry
        self.tests = round_.tests_of(entry)
        names = (ACCURACY, PERFORMANCE, *self.tests)
        self.runs = [Run(scenario, name) for name in names for scenario in round_.scenarios]
        self._tested = tested.absolute()
        self._options = options
        self._files = {"artifact": self._tested / artifact.MANIFEST, "photographs": photographs}
        if timing is not None:
            self._files["timing"] = timing
        self._digests = {name: _digest(path) for name, path in self._files.items()}
        identity = {"round": round_.name, "options": list(options), **self._digests}
        path = self.folder / _IDENTITY
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            found = json.loads(path.read_text()) if path.exists() else {}
            if not isinstance(found, dict):
                raise DnaError(f"{path} is damaged; choose another folder")
            if any(self.place(run).exists() for run in self.runs):
                _compare(found, identity, self.folder)
            elif found.get("round", round_.name) != round_.name:
                for scenario in round_.scenarios:
                    (self.folder / scenario / USER_CONF).unlink(missing_ok=True)
            _write(path, json.dumps(identity, indent=1) + "\n")
        except (OSError, ValueError) as error:
            raise DnaError(f"cannot use {self.folder}: {error}") from error

    def place(self, run: Run) -> Path:
        """The folder of a run, there once it is through."""
        return self.folder / run.scenario / run.name

    def missing(self) -> list[Run]:
        """The runs that are still to be done.

        Raises:
            DnaError: one that is through is damaged, or was done with another user.conf.
        """
        missing = []
        for run in self.runs:
            if self.place(run).exists():
                self._check(run)
            else:
                missing.append(run)
        return missing

    def _check(self, run: Run) -> None:
        place, conf = self.place(run), self.user_conf(run.scenario)
        self.figures(run)
        try:
            for name in LOGS:
                (place / name).open().close()
            ran_with = place / USER_CONF
            same = not ran_with.exists() or ran_with.read_bytes() == conf.read_bytes()
        except OSError as error:
            raise DnaError(f"{place} is damaged ({error}); {_AGAIN}") from error
        if not same:
            raise DnaError(f"{conf} is not the one of {place} any more; put it back, or {_AGAIN}")

    def figures(self, run: Run) -> dict[str, Any]:
        """What `dna loadgen --json` had of a finished run.

        Raises:
            DnaError: the file is missing or damaged.
        """
        place = self.place(run)
        try:
            found: dict[str, Any] = json.loads((place / FIGURES).read_text())
        except (OSError, ValueError) as error:
            raise DnaError(f"{place} is damaged ({FIGURES}: {error}); {_AGAIN}") from error
        return found

    def user_conf(self, scenario: Scenario) -> Path:
        """The scenario's user.conf, written now if it is not there."""
        path = self.folder / scenario / USER_CONF
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = [
                "# LoadGen's settings beyond MLPerf's own. What is to be expected of the system's",
                "# speed is set by dna loadgen: measured, or with modelled time computed.",
            ]
            queries = self.round.min_queries.get(scenario)
            if queries is not None:
                lines.append(f"{self.entry.benchmark.name}.{scenario}.min_query_count = {queries}")
            _write(path, "\n".join([*lines, ""]))
        return path

    def complete(self, announce: Callable[[str], None]) -> None:
        """Do what is missing.

        Args:
            announce: told what begins.

        Raises:
            DnaError: a run failed or LoadGen calls it invalid; its logs then stay in a folder
                beside, named so, and the next call tries again. Or the artifact or the list of
                photographs is not what it was when this object was made.
        """
        missing = self.missing()
        for number, run in enumerate(missing, 1):
            announce(f"run {number} of {len(missing)}: {run}")
            try:
                asides = self._attempts(run, announce)
            except OSError as error:
                raise DnaError(f"cannot use {self.folder}: {error}") from error
            if not self.place(run).exists():
                raise DnaError(
                    f"{run} is not valid, or missed the pace of the model, {len(asides)} times; "
                    f"see {asides[-1] / FIGURES}. The same command tries again"
                )

    def _attempts(self, run: Run, announce: Callable[[str], None]) -> list[Path]:
        """Do a run until it is good, a few times at most; where the bad ones were put."""
        asides: list[Path] = []
        while len(asides) < ATTEMPTS:
            aside = self._do(run)
            if aside is None:
                break
            asides.append(aside)
            announce(f"not valid, or its pace was missed: put aside as {aside.name}")
        return asides

    def _check_unchanged(self) -> None:
        for name, path in self._files.items():
            if _digest(path) != self._digests[name]:
                raise DnaError(
                    f"{path} was changed while its runs were going on; put it back, or choose "
                    "another folder"
                )

    def _do(self, run: Run) -> Path | None:
        """Do a run once; if it is no good, the folder in which it is put aside."""
        self._check_unchanged()
        place = self.place(run)
        place.parent.mkdir(parents=True, exist_ok=True)
        for left_over in place.parent.glob(f".{run.name}-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=f".{run.name}-", dir=place.parent))
        try:
            code = self._run(run, work)
            self._check_unchanged()
            if code == 0 or (code == _INVALID and _good_all_the_same(run, work)):
                os.replace(work, place)
                return None
            if code == _INVALID:
                aside = _free(place)
                os.replace(work, aside)
                return aside
        finally:
            shutil.rmtree(work, ignore_errors=True)
        raise DnaError(f"{run} failed; the same command tries again")

    def _run(self, run: Run, work: Path) -> int:
        """Do a run in ``work``; the exit code of ``dna loadgen``."""
        work.chmod(0o755)
        options = ["--scenario", run.scenario, "--round", self.round.name, *self._options]
        options += ["--user-conf", str(work / USER_CONF)]
        shutil.copyfile(self.user_conf(run.scenario), work / USER_CONF)
        if run.name == ACCURACY:
            options.append("--accuracy")
        elif run.name != PERFORMANCE:
            audit = work / "audit.config"
            audit.write_text(compliance.audit_config(run.name, self.entry.benchmark))
            options += ["--audit-config", str(audit)]
        logs, figures = str(work), str(work / FIGURES)
        command = [sys.executable, "-m", "harness.cli", "loadgen", str(self._tested), *options]
        done = children.run(
            [*command, "-o", logs, "--json", figures],
            cwd=work.parent,  # a stray audit.config where the user stands is none of ours
            stdout=DEVNULL,
            own_group=False,  # it has an end of its own for Ctrl-C
        )
        return done.returncode


def _good_all_the_same(run: Run, work: Path) -> bool:
    """Whether LoadGen's "invalid" does not matter for this run; a missed pace always does."""
    if run.name not in compliance.MAY_BE_INVALID:
        return False
    figures = json.loads((work / FIGURES).read_text())
    return "pace" not in figures or bool(figures["pace"]["kept"])


def _digest(path: Path) -> str:
    try:
        return digests.of_file(path)
    except OSError as error:
        raise DnaError(f"cannot read {path}: {error.strerror}") from error


def _free(place: Path) -> Path:
    number = 1
    while (aside := place.with_name(f"{place.name}.invalid_{number}")).exists():
        number += 1
    return aside


def _compare(found: dict[str, Any], wanted: dict[str, Any], folder: Path) -> None:
    for key, value in wanted.items():
        if found.get(key) != value:
            raise DnaError(
                f"{folder} has runs with another {key} ({found.get(key)}, not {value}); "
                "choose another folder"
            )


def _write(path: Path, text: str) -> None:
    """The file appears whole or not at all."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text)
    os.replace(temporary, path)
