"""The runs of a submission, one process each, that survive a crash.

    FOLDER/series.json                     what the runs are of
    FOLDER/SingleStream/user.conf          LoadGen's settings of a scenario
    FOLDER/SingleStream/performance/       LoadGen's logs and figures.json, of a finished run
    FOLDER/SingleStream/TEST01/            likewise
    FOLDER/SingleStream/.performance-*/    of a run that is under way, or was when all ended

A run's folder gets its name when the run is through, so it is either whole or absent. What is whole
is kept and never run again; an interruption at any moment costs the run in progress.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.loadgen.settings import MODEL, Scenario
from harness.mlperf import compliance
from harness.mlperf.rounds import Round
from sw import artifact
from sw.errors import DnaError

ACCURACY, PERFORMANCE = "accuracy", "performance"
FIGURES = "figures.json"
USER_CONF = "user.conf"
_IDENTITY = "series.json"
_INVALID = 1


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
        runs: in the order in which they are done: what fails soonest comes first.
    """

    def __init__(self, folder: Path, round_: Round, tested: Path, options: tuple[str, ...]) -> None:
        """Open a series, or begin one.

        Args:
            folder: of the runs.
            round_: of MLPerf.
            tested: the artifact.
            options: for ``dna loadgen``, the same in every run; paths in them absolute.

        Raises:
            DnaError: the folder has runs of something else, or cannot be written.
        """
        self.folder = folder.absolute()
        self.round = round_
        names = (ACCURACY, PERFORMANCE, *round_.tests)
        self.runs = [Run(scenario, name) for name in names for scenario in round_.scenarios]
        self._tested = tested.absolute()
        self._options = options
        identity = {
            "round": round_.name,
            "artifact": hashlib.sha256((tested / artifact.MANIFEST).read_bytes()).hexdigest(),
            "options": list(options),
        }
        path = self.folder / _IDENTITY
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if path.exists():
                _compare(json.loads(path.read_text()), identity, self.folder)
            else:
                _write(path, json.dumps(identity, indent=1) + "\n")
        except (OSError, ValueError) as error:
            raise DnaError(f"cannot use {self.folder}: {error}") from error

    def place(self, run: Run) -> Path:
        """The folder of a run, there once it is through."""
        return self.folder / run.scenario / run.name

    def missing(self) -> list[Run]:
        """The runs that are still to be done."""
        return [run for run in self.runs if not self.place(run).exists()]

    def figures(self, run: Run) -> dict[str, Any]:
        """What `dna loadgen --json` had of a finished run."""
        found: dict[str, Any] = json.loads((self.place(run) / FIGURES).read_text())
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
                lines.append(f"{MODEL}.{scenario}.min_query_count = {queries}")
            _write(path, "\n".join([*lines, ""]))
        return path

    def complete(self, announce: Callable[[str], None]) -> None:
        """Do what is missing.

        Args:
            announce: told what begins.

        Raises:
            DnaError: a run failed or LoadGen calls it invalid; its logs then stay in a folder
                beside, named so, and the next call tries again.
        """
        missing = self.missing()
        for number, run in enumerate(missing, 1):
            announce(f"run {number} of {len(missing)}: {run}")
            self._do(run)

    def _do(self, run: Run) -> None:
        place = self.place(run)
        user_conf = self.user_conf(run.scenario)
        for left_over in place.parent.glob(f".{run.name}-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        # A new name: if this process was killed, the run that it started may still be at work.
        work = Path(tempfile.mkdtemp(prefix=f".{run.name}-", dir=place.parent))
        work.chmod(0o755)
        options = ["--scenario", run.scenario, "--round", self.round.name, *self._options]
        options += ["--user-conf", str(user_conf)]
        if run.name == ACCURACY:
            options.append("--accuracy")
        elif run.name != PERFORMANCE:
            audit = work / "audit.config"
            audit.write_text(compliance.audit_config(run.name))
            options += ["--audit-config", str(audit)]
        logs, figures = str(work), str(work / FIGURES)
        command = [sys.executable, "-m", "harness.cli", "loadgen", str(self._tested), *options]
        done = subprocess.run(
            [*command, "-o", logs, "--json", figures],
            cwd=place.parent,  # a stray audit.config where the user stands is none of ours
            stdout=subprocess.DEVNULL,
            check=False,
        )
        may_be_invalid = run.name in compliance.MAY_BE_INVALID
        if done.returncode == 0 or (done.returncode == _INVALID and may_be_invalid):
            os.replace(work, place)
            return
        if done.returncode == _INVALID:
            aside = _free(place)
            os.replace(work, aside)
            raise DnaError(
                f"{run} is not valid, or missed the pace of the model; see {aside / FIGURES}. "
                "The same command tries again"
            )
        shutil.rmtree(work, ignore_errors=True)
        raise DnaError(f"{run} failed; the same command tries again")


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
