"""The fuzzer: random networks on random machines with random memories, against the reference.

    python -m tests.sweeps.fuzz --cases 2000 --seed 0 --json fuzz.json
    python -m tests.sweeps.fuzz --case 0:17 --config nano

The second form repeats case 17 of seed 0 on one machine. Exit code 0 means that values were
compared and no case failed; 1 that one did, or none was compared; 130 that it was interrupted.
"""

from __future__ import annotations

import collections
import dataclasses
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from harness.commands.common import check_writable, json_option, write_json
from hw.config import DnaConfig
from sim.rtl.registry import open_simulator
from sw.errors import DnaError
from tests.sweeps.fuzz_cases import (
    MACHINES,
    Case,
    Expect,
    Failure,
    Outcome,
    draw,
    right,
    run,
    shrink,
)

PLAIN_WIDTH = 120
FAILED, BAD_USE, INTERRUPTED = 1, 2, 130
MOST_FAILURES = 5
"""The fuzzer gives up after so many; each takes a while to shrink."""


@dataclasses.dataclass(frozen=True)
class Found:
    """A failure and its reproducer."""

    command: str
    failure: Failure
    shrunk: Case
    shrunk_failure: Failure


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
    found: list[Found] = dataclasses.field(default_factory=list)

    @property
    def total(self) -> Tally:
        """All machines together."""
        columns = zip(*(dataclasses.astuple(tally) for tally in self.tallies.values()), strict=True)
        return Tally(*(sum(column) for column in columns))

    @property
    def clean(self) -> bool:
        """Whether something was compared and nothing failed."""
        return self.total.values > 0 and self.total.failed == 0


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
            command = (
                f"python -m tests.sweeps.fuzz --case {report.seed}:{number} --config {config.name}"
            )
            report.found.append(Found(command, outcome.failure, *shrink(case, config, expect)))
        yield number, config, outcome
        if len(report.found) == MOST_FAILURES:
            return


class CaseNumber(click.ParamType[tuple[int, int]]):
    """``SEED:NUMBER``."""

    name = "SEED:NUMBER"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Parse and check the two numbers."""
        seed, colon, number = value.partition(":")
        if not (colon and seed.isdecimal() and number.isdecimal()):
            self.fail(f"{value!r} is not SEED:NUMBER", param, ctx)
        return int(seed), int(number)


@click.command()
@click.option("--cases", type=click.IntRange(min=1), default=2000, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--config", "name", type=click.Choice(list(MACHINES)), help="One machine. Default: all."
)
@click.option("--case", "single", type=CaseNumber(), help="Only this case; needs --config.")
@json_option
def main(
    cases: int, seed: int, name: str | None, single: tuple[int, int] | None, json_file: Path | None
) -> None:
    """Run random cases on compiled RTL and compare every value with the reference."""
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    out, errors = Console(highlight=False, soft_wrap=True, width=width), Console(stderr=True)
    if single is not None and name is None:
        raise click.UsageError("--case needs --config: it says on which machine")
    configs = [MACHINES[name]] if name else list(MACHINES.values())
    numbers: Iterable[int] = range(cases)
    if single is not None:
        seed, numbers, cases = single[0], [single[1]], 1
    report, started, interrupted = Report(seed), time.perf_counter(), False
    out.print(f"seed {seed}, {cases} cases")
    try:
        check_writable(json_file)
        _compile(configs, errors)
        started = time.perf_counter()
        _run(report, numbers, cases, configs, out, errors)
    except KeyboardInterrupt:
        interrupted = True
    except DnaError as error:
        errors.print(f"error: {error}", soft_wrap=True)
        sys.exit(BAD_USE)
    seconds = time.perf_counter() - started
    _show(report, cases, seconds, out)
    write_json(json_file, _figures(report, cases, seconds))
    sys.exit(INTERRUPTED if interrupted else 0 if report.clean else FAILED)


def _compile(configs: list[DnaConfig], errors: Console) -> None:
    for config in configs:
        with errors.status(f"compiling {config.name} (the first time a minute or two) ..."):
            open_simulator(config, size=1).close()


def _run(
    report: Report,
    numbers: Iterable[int],
    cases: int,
    configs: list[DnaConfig],
    out: Console,
    errors: Console,
) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=errors, transient=True) as progress:
        task = progress.add_task("fuzzing", total=cases)
        for number, config, outcome in fuzz(report, numbers, configs):
            case = f"case {report.seed}:{number} on {config.name}"
            if outcome.refused is not None:
                out.print(f"{case}: refused: {outcome.refused}", markup=False)
            if outcome.failure is not None:
                found = report.found[-1]
                out.print(f"{case}: FAILED: {found.failure.kind}", style="red", markup=False)
                out.print(found.failure.text, markup=False)
                out.print(f"shrunk to:\n{found.shrunk}", markup=False)
                out.print(f"which fails with: {found.shrunk_failure.text}", markup=False)
                out.print(f"again with: {found.command}", markup=False)
            progress.advance(task)


def _show(report: Report, cases: int, seconds: float, out: Console) -> None:
    names = [field.name for field in dataclasses.fields(Tally)]
    table = Table("machine", *names)
    for name, tally in [*report.tallies.items(), ("all", report.total)]:
        table.add_row(name, *(f"{number:,}" for number in dataclasses.astuple(tally)))
    out.print(table)
    done = report.total.cases
    out.print(f"{done} of {cases} cases of seed {report.seed} in {seconds:.0f} s")
    if not report.total.values:
        out.print("no value was compared")


def _figures(report: Report, cases: int, seconds: float) -> dict[str, Any]:
    return {
        "seed": report.seed,
        "asked": cases,
        "seconds": round(seconds, 1),
        **dataclasses.asdict(report.total),
        "configs": {
            name: dataclasses.asdict(MACHINES[name])
            | {"digest": MACHINES[name].digest}
            | dataclasses.asdict(tally)
            for name, tally in report.tallies.items()
        },
        "refusals": dict(report.refusals.most_common()),
        "failures": [
            {
                "command": found.command,
                **dataclasses.asdict(found.failure),
                "shrunk": str(found.shrunk),
                "shrunk_text": found.shrunk_failure.text,
            }
            for found in report.found
        ],
    }


if __name__ == "__main__":
    main()
