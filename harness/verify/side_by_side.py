"""A model's operators on the machine, beside the runtimes: its program interpreted, and in RTL."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from harness.hardware.configuration import configuration
from harness.verify import INTERPRETER
from sim.functional import FunctionalModel
from sim.interpreter.errors import ProgramError
from sim.verify.interpreter import interpret_program
from sim.verify.results import ProgramResult
from sw.compiler import compile_graph
from sw.errors import DnaError
from sw.graph import Graph

if TYPE_CHECKING:
    from harness.host.terminal import Table
    from sw.program import Program

Int8 = npt.NDArray[np.int8]


@dataclasses.dataclass(frozen=True)
class Machine:
    """What a program computed, against the functional model.

    Attributes:
        config: of the machine.
        engines: that ran it, the interpreter first.
        differ: of each engine, how many values differ at each tensor that a layer writes.
        layers: by tensor of the graph, the one whose layer computes it: its own, or a later one.
    """

    config: str
    engines: tuple[str, ...]
    differ: Mapping[str, Mapping[str, int]]
    layers: Mapping[str, str]

    def of(self, engine: str, tensor: str) -> int | None:
        """How many values of a tensor differ; None if no layer writes it."""
        return self.differ[engine].get(tensor)

    @property
    def mismatches(self) -> int:
        """Of all engines and layers."""
        return sum(sum(counts.values()) for counts in self.differ.values())


def on_the_machine(graph: Graph, config_name: str, image: Int8, rtl: str | None) -> Machine:
    """Compile a graph, run its program, and compare every layer.

    Args:
        graph: the network.
        config_name: of the machine, or a file.
        image: int8, the input.
        rtl: the simulator of the hardware; None: the interpreter alone.

    Raises:
        DnaError: it does not compile, the machine would refuse it, or a simulator cannot run.
    """
    config = configuration(config_name)
    program = compile_graph(graph, config)
    expected = FunctionalModel(graph).run_all(image)
    try:
        results: dict[str, ProgramResult] = {
            INTERPRETER: interpret_program(program, image, expected)
        }
    except ProgramError as error:
        raise DnaError(f"the machine would refuse the program: {error}") from error
    if rtl is not None:
        results[rtl] = _in_rtl(program, image, expected, rtl)
    made_by = {name: table.output for table in program.layers for name in table.operations}
    return Machine(
        config=config.name,
        engines=tuple(results),
        differ={
            engine: {
                table.output: layer.mismatches
                for table, layer in zip(program.layers, result.layers, strict=True)
            }
            for engine, result in results.items()
        },
        layers={op.output: made_by[op.name] for op in graph.operations if op.name in made_by},
    )


def _in_rtl(
    program: Program, image: Int8, expected: Mapping[str, Int8], simulator: str
) -> ProgramResult:
    from sim.rtl.registry import open_simulator
    from sim.verify.rtl import verify_program

    size = program.memory.size
    with open_simulator(program.config, simulator, size=size, record_writes=True) as machine:
        return verify_program(machine, program, image, expected)


def table_of(rows: Sequence[Mapping[str, Any]], machine: Machine | None) -> Table:
    """What differs from the contract at every operator, a column for each that computes it.

    Args:
        rows: of each operator ``name``, ``values`` of one runtime, and by runtime how many differ;
            ``tensor`` is that of the graph.
        machine: what the program computed.
    """
    from harness.host.terminal import Table

    runtimes = [name for name in rows[0] if name not in ("name", "values", "tensor")]
    engines = () if machine is None else machine.engines
    table = Table("operator", title="values that differ from the contract, operator by operator")
    table.add_columns("values", *runtimes, *engines, right=True)
    for row in rows:
        cells = ["" if row[name] is None else f"{row[name]:,}" for name in runtimes]
        for engine in engines:
            assert machine is not None
            count = machine.of(engine, row["tensor"])
            later = machine.layers.get(row["tensor"])
            absent = "" if later is None else f"in {later}"
            cells.append(absent if count is None else f"{count:,}")
        table.add_row(row["name"], f"{row['values']:,}", *cells)
    return table
