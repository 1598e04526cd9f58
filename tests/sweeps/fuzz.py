"""The fuzzer: random networks on random machines with random memories, against the reference.

    python -m tests.sweeps.fuzz --cases 2000 --seed 0 --json fuzz.json
    python -m tests.sweeps.fuzz --case 0:17 --config nano

The second form repeats case 17 of seed 0 on one machine. A case that fails is made simpler and kept
as a file (:mod:`tests.sweeps.findings`). Exit code 0 means that values were compared and no case
failed; 1 that one did, or none was compared; 130 that it was interrupted.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from harness.commands.common import check_writable, write_json
from hw.config import DnaConfig
from sim.rtl.registry import open_simulator
from sw.errors import DnaError
from tests.sweeps import findings
from tests.sweeps.findings import Finding
from tests.sweeps.fuzz_cases import Case, Expect, Failure, Outcome, draw, right, run
from tests.sweeps.options import BAD_USE, FAILED, INTERRUPTED, PLAIN_WIDTH, Asked, case_options

MOST_FAILURES = 5
"""The fuzzer gives up after so many; each takes a while to shrink."""


@dataclasses.dataclass
class Tally:
    """Figures of one machine."""

    cases: int = 0
    passed: int = 0
    refused: int = 0
    failed: int = 0
    values: int = 0
    mismatches: int = 0
    cycles: int = 0

    def add(self, outcome: Outcome) -> None:
        self.cases += 1
        self.refused += outcome.refused is not None
        self.failed += outcome.failure is not None
        self.passed += outcome.refused is None and outcome.failure is None
        self.values += outcome.values
        self.mismatches += outcome.mismatches
        self.cycles += outcome.cycles


@dataclasses.dataclass
class Report:
    """What has been done so far."""

    seed: int
    tallies: dict[str, Tally] = dataclasses.field(default_factory=dict)
    refusals: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    found: list[Finding] = dataclasses.field(default_factory=list)

    @property
    def total(self) -> Tally:
        """All machines together."""
        columns = zip(*(dataclasses.astuple(tally) for tally in self.tallies.values()), strict=True)
        return Tally(*(sum(column) for column in columns))

    @property
    def clean(self) -> bool:
        """Whether something was compared and nothing failed."""
        return self.total.values > 0 and self.total.failed == 0


def _fault(case: Case, config: DnaConfig, expect: Expect) -> Failure | None:
    return run(case, config, expect).failure


def fuzz(
    report: Report, numbers: Iterable[int], configs: list[DnaConfig], expect: Expect = right
) -> Iterator[tuple[int, DnaConfig, Outcome]]:
    """Run cases, one machine after the other in turn, and keep count in ``report``."""
    for number in numbers:
        config = configs[number % len(configs)]
        case = draw(report.seed, number)
        outcome = run(case, config, expect)
        report.tallies.setdefault(config.name, Tally()).add(outcome)
        if outcome.refused is not None:
            report.refusals[outcome.refused] += 1
        if outcome.failure is not None:
            judge = functools.partial(_fault, config=config, expect=expect)
            report.found.append(findings.simplest("fuzz", report.seed, number, config, case, judge))
        yield number, config, outcome
        if len(report.found) == MOST_FAILURES:
            return


@click.command()
@case_options(cases=2000)
def main(asked: Asked, json_file: Path | None) -> None:
    """Run random cases on compiled RTL and compare every value with the reference."""
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    out, errors = Console(highlight=False, soft_wrap=True, width=width), Console(stderr=True)
    report, started, interrupted = Report(asked.seed), time.perf_counter(), False
    out.print(f"seed {asked.seed}, {len(asked.numbers)} cases")
    try:
        check_writable(json_file)
        _compile(asked.configs, errors)
        started = time.perf_counter()
        _run(report, asked, out, errors)
    except KeyboardInterrupt:
        interrupted = True
    except DnaError as error:
        errors.print(f"error: {error}", soft_wrap=True)
        sys.exit(BAD_USE)
    seconds = time.perf_counter() - started
    _show(report, asked, seconds, out)
    write_json(json_file, _figures(report, asked, seconds))
    sys.exit(INTERRUPTED if interrupted else 0 if report.clean else FAILED)


def _compile(configs: list[DnaConfig], errors: Console) -> None:
    for config in configs:
        with errors.status(f"compiling {config.name} (the first time a minute or two) ..."):
            open_simulator(config, size=1).close()


def _run(report: Report, asked: Asked, out: Console, errors: Console) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=errors, transient=True) as progress:
        task = progress.add_task("fuzzing", total=len(asked.numbers))
        for number, config, outcome in fuzz(report, asked.numbers, asked.configs):
            case = f"case {report.seed}:{number} on {config.name}"
            if outcome.refused is not None:
                out.print(f"{case}: refused: {outcome.refused}", markup=False)
            if outcome.failure is not None:
                out.print(f"{case}: FAILED: {outcome.failure.kind}", style="red", markup=False)
                out.print(outcome.failure.text, markup=False)
                for line in findings.kept(report.found[-1], asked.folder):
                    out.print(line, markup=False)
            progress.advance(task)


def _show(report: Report, asked: Asked, seconds: float, out: Console) -> None:
    names = [field.name for field in dataclasses.fields(Tally)]
    table = Table("machine", *names)
    for name, tally in [*report.tallies.items(), ("all", report.total)]:
        table.add_row(name, *(f"{number:,}" for number in dataclasses.astuple(tally)))
    out.print(table)
    done = report.total.cases
    out.print(f"{done} of {len(asked.numbers)} cases of seed {report.seed} in {seconds:.0f} s")
    if not report.total.values:
        out.print("no value was compared")


def _figures(report: Report, asked: Asked, seconds: float) -> dict[str, Any]:
    return {
        "seed": report.seed,
        "asked": len(asked.numbers),
        "seconds": round(seconds, 1),
        **dataclasses.asdict(report.total),
        "configs": {
            config.name: dataclasses.asdict(config)
            | {"digest": config.digest}
            | dataclasses.asdict(report.tallies[config.name])
            for config in asked.configs
            if config.name in report.tallies
        },
        "refusals": dict(report.refusals.most_common()),
        "failures": [
            {
                "command": found.command,
                **dataclasses.asdict(found.failure),
                "machine": found.machine.name,
                "shrunk": str(found.case),
            }
            for found in report.found
        ],
    }


if __name__ == "__main__":
    main()
