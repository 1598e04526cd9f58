"""``dna verify`` of a compiled artifact: one run of its program, every value compared.

The interpreter runs the program first, in about a second: what it finds wrong is in the program,
and minutes of RTL would find it again. The hardware runs after it, unless only the interpreter was
asked for.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.host.terminal import Console, measured
from harness.verify import INTERPRETER
from harness.verify.tables import explanation, layer_table

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from sim.memory.model import MemoryModel
    from sim.rtl.vcd import Waves
    from sim.verify.results import ProgramResult, TimedResult
    from sw.graph import Graph
    from sw.program import Program

    Tensors = Mapping[str, npt.NDArray[np.int8]]


@dataclasses.dataclass(frozen=True)
class _Case:
    """What is run, and what should come out: every tensor by the functional model.

    Inputs besides the first are among these.
    """

    program: Program
    pixels: npt.NDArray[np.int8]
    expected: Tensors


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
    case = _Case(program, pixels, together(runs))
    interpreted, seconds = _interpret(case)
    if simulator is None or interpreted.mismatches:
        result: ProgramResult = interpreted
        figures = _figures_of_interpreter(program, interpreted, seconds, complete=simulator is None)
        _report_interpreter(program, interpreted, seconds)
    else:
        _print_line(
            f"interpreter: {interpreted.values:,} values compared, 0 differ, in {seconds:.1f} s; "
            f"the hardware follows ({simulator})"
        )
        result, figures = _simulate(case, simulator, memory, waves)
    figures["litert_logits_differ"] = litert
    figures[INTERPRETER] = {
        "values": interpreted.values,
        "mismatches": interpreted.mismatches,
        "seconds": seconds,
    }
    _explain(result, litert, repeat)
    if simulator is not None and interpreted.mismatches:
        _print_line(f"the program is wrong, whatever runs it, so {simulator} was not started")
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


def _interpret(case: _Case) -> tuple[ProgramResult, float]:
    """The result of the interpreter, and the seconds that it took."""
    from sim.interpreter.errors import ProgramError
    from sim.verify.interpreter import interpret_program
    from sw.errors import DnaError

    started = time.perf_counter()
    with Console(stderr=True).status("interpreting the program ..."):
        try:
            result = interpret_program(case.program, case.pixels, case.expected)
        except ProgramError as error:
            raise DnaError(f"the machine would refuse the program: {error}") from error
    return result, time.perf_counter() - started


def _simulate(
    case: _Case, simulator: str, memory: MemoryModel, waves: Waves | None
) -> tuple[TimedResult, dict[str, Any]]:
    """Run the hardware and print the table; the result and the figures for JSON."""
    from sim.rtl.registry import open_simulator
    from sim.verify.rtl import verify_program

    program = case.program
    errors = Console(stderr=True)
    started = time.perf_counter()
    with errors.status("preparing the machine (the first time this compiles for some minutes) ..."):
        machine = open_simulator(
            program.config,
            simulator,
            size=program.memory.size,
            memory=memory,
            record_writes=True,
            waves=waves,
        )
    prepared = time.perf_counter()
    estimated = sum(layer.estimated_cycles for layer in program.layers)
    with machine, measured(errors, "running", estimated) as reached:
        result = verify_program(
            machine,
            program,
            case.pixels,
            case.expected,
            progress=reached,
        )
    seconds = time.perf_counter() - prepared
    _report(program, result, memory, seconds)
    return result, {
        **_figures(program, result, simulator),
        "complete": True,
        "cycles": result.cycles,
        "utilization": result.utilization,
        "memory": memory.figures(case.program.config.dram_bytes_per_cycle),
        "activity": result.activity,
        "seconds": seconds,
        "preparation_seconds": prepared - started,
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
    program: Program, result: ProgramResult, seconds: float, *, complete: bool
) -> dict[str, Any]:
    """What has a number only in time is null."""
    return {
        **_figures(program, result, INTERPRETER),
        "complete": complete,
        "cycles": None,
        "utilization": None,
        "memory": None,
        "activity": None,
        "seconds": seconds,
        "preparation_seconds": 0.0,
    }


def _report(program: Program, result: TimedResult, memory: MemoryModel, seconds: float) -> None:
    config = program.config
    Console().print(layer_table(config, f"{_what(program)} from start to interrupt", result.layers))
    _print_line(
        f"{_sums(result)}; {result.cycles:,} cycles, MAC utilization {result.utilization:.1%}; "
        f"{memory.text(config.dram_bytes_per_cycle)}; simulated in {seconds:.0f} s "
        f"({result.cycles / seconds / 1000:,.0f} thousand cycles a second)"
    )


def _report_interpreter(program: Program, result: ProgramResult, seconds: float) -> None:
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
