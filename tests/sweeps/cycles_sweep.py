"""The cycle model against compiled RTL: random networks, machines and memories.

    python -m tests.sweeps.cycles_sweep --cases 500 --seed 0 --json cycles.json
    python -m tests.sweeps.cycles_sweep --case 0:17 --config nano

Cases are those of the fuzzer. Exit code 0 means that cases were compared and that every cycle of
every engine is in the RTL what it is in the model; 1 that one is not, or that none was compared.
A case that differs is made simpler and kept as a file (:mod:`tests.sweeps.findings`).
"""

from __future__ import annotations

import dataclasses
import functools
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track
from rich.table import Table

from harness.commands.common import check_writable, write_json
from hw.config import DnaConfig
from hw.isa import Engine
from hw.status import Activity
from sim.cycles import Prediction, predict
from sim.driver import Driver
from sim.memory.model import MemoryModel
from sim.rtl.registry import open_simulator
from sw.errors import DnaError
from sw.program import Program
from tests.sweeps import findings
from tests.sweeps.findings import Finding
from tests.sweeps.fuzz_cases import Case, Failure, draw
from tests.sweeps.options import BAD_USE, FAILED, INTERRUPTED, PLAIN_WIDTH, Asked, case_options

MOST_FAILURES = 5
"""The sweep gives up after so many."""

Int64 = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A program on RTL and in the model.

    Attributes:
        rtl, model: cycles from start to interrupt.
        rtl_activity, model_activity: int64 [engine, layer, activity].
        prediction: the model's.
    """

    rtl: int
    model: int
    rtl_activity: Int64
    model_activity: Int64
    prediction: Prediction

    @property
    def misplaced(self) -> Int64:
        """Cycles of the model that the RTL has not, int64 [engine, layer, activity]."""
        return self.model_activity - self.rtl_activity

    @property
    def exact(self) -> bool:
        """Whether every cycle of every engine is what it is in the RTL."""
        return self.rtl == self.model and not self.misplaced.any()

    @property
    def total_error(self) -> float:
        """Of the total."""
        return abs(self.model - self.rtl) / self.rtl

    @property
    def layer_error(self) -> float:
        """Of the worst layer: cycles in a wrong place, of all that its engines have in the RTL."""
        wrong = np.abs(self.misplaced).sum(axis=(0, 2)) / 2
        return float((wrong / np.maximum(1, self.rtl_activity.sum(axis=(0, 2)))).max())

    @property
    def failure(self) -> Failure | None:
        """The largest differences, if there are any."""
        if self.exact:
            return None
        order = np.argsort(-np.abs(self.misplaced), axis=None)[:5]
        places = np.stack(np.unravel_index(order, self.misplaced.shape), axis=1)
        where = [
            f"{Engine(e).name} layer {n} {Activity(a).name} {self.misplaced[e, n, a]:+d}"
            for e, n, a in places
            if self.misplaced[e, n, a]
        ]
        return Failure("cycles", ", ".join([f"{self.rtl} cycles, model {self.model}", *where]))


def compare(
    program: Program, memory: MemoryModel, image: npt.NDArray[np.int8], engine: Any = "cxxrtl"
) -> Comparison:
    """Run ``program`` on RTL and in the model."""
    with open_simulator(program.config, engine, size=program.memory.size, memory=memory) as machine:
        driver = Driver(machine, program)
        driver.run(image)
        return beside(program, memory, driver.cycles, machine.layer_activity())


def beside(program: Program, memory: MemoryModel, cycles: int, activity: Int64) -> Comparison:
    """What the RTL did, and what the model says."""
    prediction = predict(program, memory)
    layers = max(activity.shape[1], prediction.activity.shape[1])
    padded = [
        np.pad(table, ((0, 0), (0, layers - table.shape[1]), (0, 0)))
        for table in (activity, prediction.activity)
    ]
    return Comparison(cycles, prediction.cycles, *padded, prediction)


def compare_case(case: Case, config: DnaConfig, engine: Any = "cxxrtl") -> Comparison | None:
    """The same for a case of the fuzzer; None if the compiler refuses it."""
    try:
        program = case.program(config)
    except DnaError:
        return None
    return compare(program, case.memory, case.pixels, engine)


def _fault(case: Case, config: DnaConfig) -> Failure | None:
    found = compare_case(case, config)
    return None if found is None else found.failure


@dataclasses.dataclass
class Tally:
    """Figures of one machine."""

    cases: int = 0
    refused: int = 0
    exact: int = 0
    cycles: int = 0
    worst_total: float = 0.0
    worst_layer: float = 0.0

    def add(self, found: Comparison | None) -> None:
        """Count a case."""
        self.cases += 1
        if found is None:
            self.refused += 1
            return
        self.exact += found.exact
        self.cycles += found.rtl
        self.worst_total = max(self.worst_total, found.total_error)
        self.worst_layer = max(self.worst_layer, found.layer_error)


@dataclasses.dataclass
class Sweep:
    """What has been done so far: figures by machine, and the cases that are not exact."""

    seed: int
    tallies: dict[str, Tally] = dataclasses.field(default_factory=dict)
    found: list[Finding] = dataclasses.field(default_factory=list)

    @property
    def compared(self) -> int:
        """Cases that were not refused."""
        return sum(tally.cases - tally.refused for tally in self.tallies.values())

    @property
    def exact(self) -> int:
        """Those in which every cycle is what it is in the RTL."""
        return sum(tally.exact for tally in self.tallies.values())

    @property
    def good(self) -> bool:
        """Whether cases were compared and all are exact."""
        return 0 < self.compared == self.exact

    def run(
        self, numbers: Iterable[int], configs: list[DnaConfig]
    ) -> Iterator[tuple[int, DnaConfig, Comparison | None]]:
        """Compare cases, one machine after the other in turn."""
        for number in numbers:
            config = configs[number % len(configs)]
            case = draw(self.seed, number)
            compared = compare_case(case, config)
            self.tallies.setdefault(config.name, Tally()).add(compared)
            if compared is not None and not compared.exact:
                judge = functools.partial(_fault, config=config)
                self.found.append(
                    findings.simplest("cycles_sweep", self.seed, number, config, case, judge)
                )
            yield number, config, compared
            if len(self.found) == MOST_FAILURES:
                return


@click.command()
@case_options(cases=500)
def main(asked: Asked, json_file: Path | None) -> None:
    """Compare the cycle model with compiled RTL on random cases."""
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    out, errors = Console(highlight=False, soft_wrap=True, width=width), Console(stderr=True)
    sweep, started, interrupted = Sweep(asked.seed), time.perf_counter(), False
    try:
        check_writable(json_file)
        _run(sweep, asked, out, errors)
    except KeyboardInterrupt:
        interrupted = True
    except DnaError as error:
        errors.print(f"error: {error}", soft_wrap=True)
        sys.exit(BAD_USE)
    seconds = time.perf_counter() - started
    _show(sweep, asked, seconds, out)
    write_json(json_file, _figures(sweep, asked, seconds))
    sys.exit(INTERRUPTED if interrupted else 0 if sweep.good else FAILED)


def _run(sweep: Sweep, asked: Asked, out: Console, errors: Console) -> None:
    steps = sweep.run(asked.numbers, asked.configs)
    steps = track(steps, total=len(asked.numbers), console=errors, transient=True)
    for number, config, compared in steps:
        if compared is not None and compared.failure is not None:
            out.print(f"case {sweep.seed}:{number} on {config.name} differs", style="red")
            out.print(compared.failure.text, markup=False)
            for line in findings.kept(sweep.found[-1], asked.folder):
                out.print(line, markup=False)


def _show(sweep: Sweep, asked: Asked, seconds: float, out: Console) -> None:
    table = Table("machine", "cases", "refused", "exact", "cycles", "worst total", "worst layer")
    for name, tally in sweep.tallies.items():
        table.add_row(
            name,
            *(f"{count:,}" for count in (tally.cases, tally.refused, tally.exact, tally.cycles)),
            f"{tally.worst_total:.3%}",
            f"{tally.worst_layer:.3%}",
        )
    out.print(table)
    done = sum(tally.cases for tally in sweep.tallies.values())
    out.print(
        f"{done} of {len(asked.numbers)} cases of seed {sweep.seed} in {seconds:.0f} s: "
        f"{sweep.compared} compared, {sweep.compared - sweep.exact} differ"
    )


def _figures(sweep: Sweep, asked: Asked, seconds: float) -> dict[str, Any]:
    return {
        "seed": sweep.seed,
        "asked": len(asked.numbers),
        "seconds": round(seconds, 1),
        "compared": sweep.compared,
        "exact": sweep.exact,
        "cycles": sum(tally.cycles for tally in sweep.tallies.values()),
        "worst_total": max((t.worst_total for t in sweep.tallies.values()), default=0.0),
        "worst_layer": max((t.worst_layer for t in sweep.tallies.values()), default=0.0),
        "configs": {
            config.name: dataclasses.asdict(config)
            | {"digest": config.digest}
            | dataclasses.asdict(sweep.tallies[config.name])
            for config in asked.configs
            if config.name in sweep.tallies
        },
        "differences": [
            {
                "command": found.command,
                **dataclasses.asdict(found.failure),
                "machine": found.machine.name,
                "shrunk": str(found.case),
            }
            for found in sweep.found
        ],
    }


if __name__ == "__main__":
    main()
