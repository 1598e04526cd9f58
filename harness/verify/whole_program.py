"""``dna verify`` of a compiled artifact: one run of its program, every value compared.

The interpreter runs the program, in about a second: what it finds wrong is in the program, and
minutes of RTL would find it again. The hardware starts beside it, unless only the interpreter was
asked for, and is stopped if the program is wrong.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.host.terminal import Console
from harness.verify import INTERPRETER
from harness.verify.program_runs import Case, Interpreted, Simulated, both, interpret
from harness.verify.tables import explanation, layer_table

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from sim.memory.model import MemoryModel
    from sim.rtl.vcd import Waves
    from sim.verify.results import ProgramResult
    from sw.graph import Graph
    from sw.program import Program

    Tensors = Mapping[str, npt.NDArray[np.int8]]


def verify_whole(
    graph: Graph,
    program: Program,
    pixels: npt.NDArray[np.int8],
    further: Tensors,
    *,
    simulator: str | None,
    memory: MemoryModel,
    waves: Waves | None,
    repeat: Sequence[str],
) -> tuple[dict[str, Any], bool]:
    """Run, compare and print.

    Args:
        graph, program: the network, and what it was compiled to.
        pixels: int8, the network's input; of a program of several images, of each of them.
        further: its other inputs by name; a state that is not there has its initial value.
        simulator: of the RTL, as for :func:`sim.rtl.registry.open_simulator`; None: the interpreter
            alone.
        memory: how the memory behaves.
        waves: file to write, in cycles from power-on.
        repeat: the words of a command that runs the same again.

    Returns:
        The figures for JSON, and whether values were compared and none differs.

    Raises:
        DnaError: the program is none for the machine, the machine stopped, or what the simulator
            needs is missing.
    """
    from sim.functional import FunctionalModel
    from sim.functional.flatbuffer import emit
    from sim.functional.litert import LiteRT
    from sim.verify.outputs import together

    images = pixels[None] if program.images == 1 else pixels
    model, judge = FunctionalModel(graph), LiteRT(emit(graph))
    runs = [model.run_all(image, further) for image in images]
    litert = sum(
        int((judged.reshape(-1) != run[name].reshape(-1)).sum())
        for image, run in zip(images, runs, strict=True)
        for name, judged in zip(graph.outputs, judge.run(*graph.fed(image, further)), strict=True)
    )
    case = Case(program, pixels, together(runs))
    simulated: Simulated | None = None
    if simulator is None:
        with Console(stderr=True).status("interpreting the program ..."):
            interpreted = interpret(case)
    else:
        interpreted, simulated = both(case, simulator, memory, waves)
    result: ProgramResult
    if simulator is None or simulated is None:
        result = interpreted.result
        figures = _figures_of_interpreter(program, interpreted, complete=simulator is None)
        _report_interpreter(program, interpreted)
    else:
        _print_line(
            f"interpreter: {interpreted.result.values:,} values compared, 0 differ, in "
            f"{interpreted.seconds:.1f} s; the hardware beside it ({simulator})"
        )
        result = simulated.result
        figures = _figures_of_hardware(program, simulated, simulator, memory)
        _report(program, simulated, memory)
    figures["litert_logits_differ"] = litert
    figures[INTERPRETER] = {
        "values": interpreted.result.values,
        "mismatches": interpreted.result.mismatches,
        "seconds": interpreted.seconds,
    }
    _explain(result, litert, repeat)
    if simulator is not None and simulated is None:
        _print_line(f"the program is wrong, whatever runs it, so {simulator} did not go on")
    return figures, result.values > 0 and result.mismatches == 0 and litert == 0


def verify_calls(
    graph: Graph,
    program: Program,
    calls: Sequence[tuple[npt.NDArray[np.int8], Tensors]],
    **options: Any,
) -> tuple[dict[str, Any], bool]:
    """Run, compare and print one call after the other of a network that carries maps.

    Args:
        graph, program: as for :func:`verify_whole`.
        calls: of each the input, and the others that are given.
        options: of :func:`verify_whole`.

    Returns:
        The figures for JSON: those of the last call, sums of what was compared and of the cycles,
        and the figures of each call (``calls``); and whether no value of any call differs.

    Raises:
        DnaError: as :func:`verify_whole`.
    """
    from sim.functional import FunctionalModel

    model = FunctionalModel(graph) if graph.states else None
    carried = graph.initial()
    figures: list[dict[str, Any]] = []
    right = True
    for number, (pixels, given) in enumerate(calls):
        if len(calls) > 1:
            _print_line(f"call {number}")
        further = {**carried, **given}
        found, passed = verify_whole(graph, program, pixels, further, **options)
        figures.append(found)
        right &= passed
        if model is not None:
            outputs = model.outputs(pixels, further)
            carried = graph.carried(dict(zip(graph.outputs, outputs, strict=True)))
    if len(calls) == 1:
        return figures[0], right
    sums = {name: sum(each[name] for each in figures) for name in ("values", "mismatches")}
    if figures[0]["cycles"] is not None:
        sums["cycles"] = sum(each["cycles"] for each in figures)
    return {**figures[-1], **sums, "calls": figures}, right


def _print_line(text: str) -> None:
    Console().print(text)


def _figures_of_hardware(
    program: Program, simulated: Simulated, simulator: str, memory: MemoryModel
) -> dict[str, Any]:
    result = simulated.result
    return {
        **_figures(program, result, simulator),
        "complete": True,
        "cycles": result.cycles,
        "utilization": result.utilization,
        "memory": memory.figures(program.config.dram_bytes_per_cycle),
        "activity": result.activity,
        "seconds": simulated.seconds,
        "preparation_seconds": simulated.preparation_seconds,
    }


def _figures(program: Program, result: ProgramResult, engine: str) -> dict[str, Any]:
    return {
        "config": program.config.name,
        "images": program.images,
        "engine": engine,
        "values": result.values,
        "mismatches": result.mismatches,
        "logits_differ": result.logits,
        "macs": result.macs,
        "layers": [dataclasses.asdict(layer) for layer in result.layers],
    }


def _figures_of_interpreter(
    program: Program, interpreted: Interpreted, *, complete: bool
) -> dict[str, Any]:
    """What has a number only in time is null."""
    return {
        **_figures(program, interpreted.result, INTERPRETER),
        "complete": complete,
        "cycles": None,
        "utilization": None,
        "memory": None,
        "activity": None,
        "seconds": interpreted.seconds,
        "preparation_seconds": 0.0,
    }


def _report(program: Program, simulated: Simulated, memory: MemoryModel) -> None:
    config, result, seconds = program.config, simulated.result, simulated.seconds
    Console().print(layer_table(config, f"{_what(program)} from start to interrupt", result.layers))
    _print_line(
        f"{_sums(result)}; {result.cycles:,} cycles, MAC utilization {result.utilization:.1%}; "
        f"{memory.text(config.dram_bytes_per_cycle)}; simulated in {seconds:.0f} s "
        f"({result.cycles / seconds / 1000:,.0f} thousand cycles a second)"
    )


def _report_interpreter(program: Program, interpreted: Interpreted) -> None:
    result, seconds = interpreted.result, interpreted.seconds
    Console().print(layer_table(program.config, f"{_what(program)}, interpreted", result.layers))
    _print_line(
        f"{_sums(result)}; interpreted in {seconds:.1f} s, without time: cycles and utilization "
        "are those of an engine that runs the hardware, or of `dna report`"
    )


def _what(program: Program) -> str:
    return "one program" if program.images == 1 else f"one program of {program.images} images"


def _sums(result: ProgramResult) -> str:
    return (
        f"{len(result.layers)} layers, {result.values:,} values compared, "
        f"{result.mismatches:,} differ"
    )


def _explain(result: ProgramResult, litert: int, repeat: Sequence[str]) -> None:
    """Say what went wrong, and the command that shows it."""
    wrong = next((layer for layer in result.layers if layer.first is not None), None)
    if wrong is not None:
        _print_line(explanation(wrong, repeat))
    if result.logits:
        _print_line(f"{result.logits:,} logits in memory differ")
    if litert:
        _print_line(f"{litert:,} logits of the functional model differ from LiteRT's")
