"""``dna verify`` of a compiled artifact: one run of its program, every value compared."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress

from harness.verify.tables import explanation, layer_table, memory_figures, memory_text

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from sim.rtl.engine import EngineName
    from sim.rtl.memory import MemoryModel
    from sim.rtl.vcd import Waves
    from sim.verify_program import ProgramResult
    from sw.graph import Graph
    from sw.program import Program


def verify_whole(
    graph: Graph,
    program: Program,
    pixels: npt.NDArray[np.int8],
    *,
    engine: EngineName,
    memory: MemoryModel,
    waves: Waves | None,
    repeat: Sequence[str],
) -> tuple[dict[str, Any], bool]:
    """Run, compare and print.

    Args:
        graph, program: the network, and what it was compiled to.
        pixels: int8, the network's input.
        engine: of the machine.
        memory: how the memory behaves.
        waves: file to write, in cycles from power-on.
        repeat: the words of a command that runs the same again.

    Returns:
        The figures for JSON, and whether values were compared and none differs.

    Raises:
        DnaError: the machine stopped, or what the engine needs is missing.
    """
    from sim.functional import FunctionalModel
    from sim.functional.flatbuffer import emit
    from sim.functional.litert import LiteRT
    from sim.rtl.machine import open_machine
    from sim.verify_program import verify_program

    expected = FunctionalModel(graph).run_all(pixels)
    judged = LiteRT(emit(graph)).run(pixels)[0]
    errors = Console(stderr=True)
    started = time.perf_counter()
    with errors.status("preparing the machine (the first time this compiles for some minutes) ..."):
        machine = open_machine(
            program.config,
            engine,
            size=program.memory.size,
            memory=memory,
            record_writes=True,
            waves=waves,
        )
    prepared = time.perf_counter()
    with machine, Progress(console=errors, transient=True) as bar:
        task = bar.add_task("running", total=sum(t.estimated_cycles for t in program.layers))
        result = verify_program(
            machine,
            program,
            pixels,
            expected,
            progress=lambda cycles: bar.update(task, completed=cycles),
        )
    seconds = time.perf_counter() - prepared
    litert = int((judged.reshape(-1) != expected[graph.output].reshape(-1)).sum())
    figures = _figures(program, result, memory, engine)
    figures |= {
        "seconds": seconds,
        "preparation_seconds": prepared - started,
        "litert_logits_differ": litert,
    }
    _report(Console(), program, result, memory, seconds)
    _explain(Console(soft_wrap=True, highlight=False), result, repeat)
    return figures, result.values > 0 and result.mismatches == 0 and litert == 0


def _figures(
    program: Program, result: ProgramResult, memory: MemoryModel, engine: str
) -> dict[str, Any]:
    return {
        "config": program.config.name,
        "engine": engine,
        "complete": True,
        "values": result.values,
        "mismatches": result.mismatches,
        "logits_differ": result.logits,
        "cycles": result.cycles,
        "macs": result.macs,
        "utilization": result.utilization,
        "memory": memory_figures(memory),
        "activity": result.activity,
        "layers": [dataclasses.asdict(layer) for layer in result.layers],
    }


def _report(
    console: Console,
    program: Program,
    result: ProgramResult,
    memory: MemoryModel,
    seconds: float,
) -> None:
    config = program.config
    console.print(layer_table(config, "one program from start to interrupt", result.layers))
    console.print(
        f"{len(result.layers)} layers, {result.values:,} values compared, "
        f"{result.mismatches:,} differ; {result.cycles:,} cycles, MAC utilization "
        f"{result.utilization:.1%}; {memory_text(config, memory)}; simulated in {seconds:.0f} s "
        f"({result.cycles / seconds / 1000:,.0f} thousand cycles a second)",
        soft_wrap=True,
        highlight=False,
    )


def _explain(console: Console, result: ProgramResult, repeat: Sequence[str]) -> None:
    """Say what went wrong, and the command that shows it."""
    wrong = next((layer for layer in result.layers if layer.first is not None), None)
    if wrong is not None:
        console.print(explanation(wrong, repeat), markup=False)
    if result.logits:
        console.print(f"{result.logits:,} logits in memory differ", markup=False)
