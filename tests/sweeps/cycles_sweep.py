"""The cycle model against compiled RTL: random networks, machines and memories.

    python -m tests.sweeps.cycles_sweep --cases 200 --seed 0 --json cycles.json

Cases are those of the fuzzer. Exit code 0 means that cases were compared and that every total is
within 0.5 % and every layer within 2 % of the RTL; 1 that one is not, or none was compared.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track
from rich.table import Table

from harness.commands.common import check_writable, json_option, write_json
from hw.config import DnaConfig
from hw.isa import Engine
from hw.status import Activity
from sim.cycles import Prediction, predict
from sim.driver import Driver
from sim.memory.model import MemoryModel
from sim.rtl.registry import open_simulator
from sw.compiler import compile_graph
from sw.errors import DnaError
from sw.program import Program
from tests.sweeps.fuzz_cases import MACHINES, Case, draw

TOTAL_LIMIT, LAYER_LIMIT = 0.005, 0.02
FAILED, BAD_USE, INTERRUPTED = 1, 2, 130
PLAIN_WIDTH = 120

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
    def text(self) -> str:
        """The largest differences."""
        order = np.argsort(-np.abs(self.misplaced), axis=None)[:5]
        places = np.stack(np.unravel_index(order, self.misplaced.shape), axis=1)
        return ", ".join(
            f"{Engine(e).name} layer {n} {Activity(a).name} {self.misplaced[e, n, a]:+d}"
            for e, n, a in places
            if self.misplaced[e, n, a]
        )


def compare(
    program: Program, memory: MemoryModel, image: npt.NDArray[np.int8], engine: Any = "cxxrtl"
) -> Comparison:
    """Run ``program`` on RTL and in the model."""
    with open_simulator(program.config, engine, size=program.memory.size, memory=memory) as machine:
        driver = Driver(machine, program)
        driver.run(image)
        cycles, activity = driver.cycles, machine.layer_activity()
    prediction = predict(program, memory)
    layers = max(activity.shape[1], prediction.activity.shape[1])
    padded = [
        np.pad(table, ((0, 0), (0, layers - table.shape[1]), (0, 0)))
        for table in (activity, prediction.activity)
    ]
    return Comparison(cycles, prediction.cycles, *padded, prediction)


def compare_case(case: Case, config: DnaConfig) -> Comparison | None:
    """The same for a case of the fuzzer; None if the compiler refuses it."""
    try:
        program = compile_graph(case.graph, config, case.memory.bandwidth)
    except DnaError:
        return None
    return compare(program, case.memory, case.image)


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

    @property
    def good(self) -> bool:
        """Whether all are within the limits."""
        return self.worst_total <= TOTAL_LIMIT and self.worst_layer <= LAYER_LIMIT


@dataclasses.dataclass
class Sweep:
    """What has been done so far: figures by machine, and the cases that are not exact."""

    seed: int
    tallies: dict[str, Tally] = dataclasses.field(default_factory=dict)
    differences: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether cases were compared and all are within the limits."""
        tallies = self.tallies.values()
        compared = any(tally.cases > tally.refused for tally in tallies)
        return compared and all(tally.good for tally in tallies)

    def run(self, cases: int, configs: list[DnaConfig]) -> Iterator[Comparison | None]:
        """Compare cases, one machine after the other in turn."""
        for number in range(cases):
            config = configs[number % len(configs)]
            found = compare_case(draw(self.seed, number), config)
            self.tallies.setdefault(config.name, Tally()).add(found)
            if found is not None and not found.exact:
                self.differences.append(
                    {
                        "case": number,
                        "config": config.name,
                        "rtl": found.rtl,
                        "model": found.model,
                        "layer_error": found.layer_error,
                        "where": found.text,
                    }
                )
            yield found


@click.command()
@click.option("--cases", type=click.IntRange(min=1), default=200, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--config", "name", type=click.Choice(list(MACHINES)), help="One machine. Default: all."
)
@json_option
def main(cases: int, seed: int, name: str | None, json_file: Path | None) -> None:
    """Compare the cycle model with compiled RTL on random cases."""
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    out, errors = Console(highlight=False, soft_wrap=True, width=width), Console(stderr=True)
    configs = [MACHINES[name]] if name else list(MACHINES.values())
    sweep, started, interrupted = Sweep(seed), time.perf_counter(), False
    try:
        check_writable(json_file)
        steps = track(sweep.run(cases, configs), total=cases, console=errors, transient=True)
        for _ in steps:
            pass
    except KeyboardInterrupt:
        interrupted = True
    except DnaError as error:
        errors.print(f"error: {error}", soft_wrap=True)
        sys.exit(BAD_USE)
    seconds = time.perf_counter() - started
    _show(sweep, out)
    write_json(json_file, _figures(sweep, cases, seconds))
    sys.exit(INTERRUPTED if interrupted else 0 if sweep.good else FAILED)


def _show(sweep: Sweep, out: Console) -> None:
    table = Table("machine", "cases", "refused", "exact", "cycles", "worst total", "worst layer")
    for name, tally in sweep.tallies.items():
        table.add_row(
            name,
            *(f"{count:,}" for count in (tally.cases, tally.refused, tally.exact, tally.cycles)),
            f"{tally.worst_total:.3%}",
            f"{tally.worst_layer:.3%}",
        )
    out.print(table)
    for difference in sweep.differences:
        out.print(", ".join(f"{key} {value}" for key, value in difference.items()), markup=False)


def _figures(sweep: Sweep, cases: int, seconds: float) -> dict[str, Any]:
    tallies = {name: dataclasses.asdict(tally) for name, tally in sweep.tallies.items()}
    compared = sum(tally.cases - tally.refused for tally in sweep.tallies.values())
    return {
        "seed": sweep.seed,
        "asked": cases,
        "seconds": round(seconds, 1),
        "compared": compared,
        "exact": sum(tally.exact for tally in sweep.tallies.values()),
        "cycles": sum(tally.cycles for tally in sweep.tallies.values()),
        "worst_total": max((t.worst_total for t in sweep.tallies.values()), default=0.0),
        "worst_layer": max((t.worst_layer for t in sweep.tallies.values()), default=0.0),
        "configs": tallies,
        "differences": sweep.differences,
    }


if __name__ == "__main__":
    main()
