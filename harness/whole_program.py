"""``dna verify`` of a compiled artifact: one run of its program, every value compared."""

from __future__ import annotations

import dataclasses
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from sw.errors import DnaError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from sim.rtl.memory import MemoryModel
    from sim.rtl.vcd import Waves
    from sim.verify_program import ProgramResult
    from sw.artifact import Artifact
    from sw.program import Program

WAVES_BEFORE, WAVES_AFTER = 200, 20


def verify_whole(
    network: Artifact,
    path: Path,
    image: Path,
    pixels: npt.NDArray[np.int8],
    engine: Literal["cxxrtl", "pysim"],
    waves: Waves | None,
) -> tuple[dict[str, Any], bool]:
    """Run, compare and print.

    Args:
        network: with a program.
        path, image: what the user gave, for the report.
        pixels: int8, the network's input.
        waves: file to write, in cycles from power-on.

    Returns:
        The figures for JSON, and whether values were compared and none differs.

    Raises:
        DnaError: the machine stopped, or what the engine needs is missing.
    """
    from sim.functional import FunctionalModel
    from sim.functional.flatbuffer import emit
    from sim.functional.litert import LiteRT
    from sim.rtl.machine import open_machine
    from sim.rtl.memory import MemoryModel
    from sim.verify_program import verify_program

    program = network.program
    if program is None:
        raise DnaError(f"{path} has no program; make one with `dna compile`")
    expected = FunctionalModel(network.graph).run_all(pixels)
    judged = LiteRT(emit(network.graph)).run(pixels)[0]
    errors, memory = Console(stderr=True), MemoryModel()
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
    litert = int((judged.reshape(-1) != expected[network.graph.output].reshape(-1)).sum())
    figures = _figures(program, result, memory, engine)
    figures |= {
        "image": str(image),
        "seconds": seconds,
        "preparation_seconds": prepared - started,
        "litert_logits_differ": litert,
    }
    _report(Console(), program, result, memory, seconds)
    _explain(Console(soft_wrap=True, highlight=False), result, path, image, engine)
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
        "memory": {"latency_cycles": memory.latency, "words_per_cycle": memory.bandwidth},
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
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        title=f"{config.name}: {config.macs} MACs, {config.modules} modules of "
        f"{config.rows} x {config.columns}; one program from start to interrupt",
    )
    table.add_column("layer", no_wrap=True)
    for heading in ("output", "values", "differ", "cycles", "used"):
        table.add_column(heading, justify="right", no_wrap=True)
    for layer in result.layers:
        used = layer.macs / (config.macs * layer.cycles) if layer.cycles else 0.0
        table.add_row(
            layer.name,
            "x".join(map(str, layer.shape)),
            f"{layer.values:,}",
            f"[bold red]{layer.mismatches:,}[/]" if layer.mismatches else "0",
            f"{layer.cycles:,}",
            f"{used:.1%}" if layer.macs else "",
        )
    console.print(table)
    console.print(
        f"{len(result.layers)} layers, {result.values:,} values compared, "
        f"{result.mismatches:,} differ; {result.cycles:,} cycles, MAC utilization "
        f"{result.utilization:.1%}; memory of {config.dram_bytes_per_cycle} bytes a cycle, "
        f"latency {memory.latency} cycles; simulated in {seconds:.0f} s "
        f"({result.cycles / seconds / 1000:,.0f} thousand cycles a second)",
        soft_wrap=True,
        highlight=False,
    )


def _explain(console: Console, result: ProgramResult, path: Path, image: Path, engine: str) -> None:
    """Say what went wrong, and the command that shows it."""
    for layer in result.layers:
        if layer.first is None:
            continue
        first = layer.first
        number, text = first.instruction
        got = "nothing was written" if first.got is None else f"got {first.got}"
        window = f"{max(0, first.cycle - WAVES_BEFORE)}:{max(0, first.cycle) + WAVES_AFTER}"
        again = ["dna", "verify", str(path), "--image", str(image), "--engine", engine]
        again += ["--waves", "machine.vcd", "--cycles", window]
        console.print(
            f"{layer.name}: {layer.mismatches:,} of {layer.values:,} values differ; the first, at "
            f"(y, x, channel) {first.where}: expected {first.expected}, {got}, in cycle "
            f"{first.cycle:,}\n  instruction {number}: {text}\n  waves: {shlex.join(again)}",
            markup=False,
        )
        break
    if result.logits:
        console.print(f"{result.logits:,} logits in memory differ", markup=False)
