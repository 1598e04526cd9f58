"""One run of a program by the interpreter, and by the hardware beside it.

The interpreter takes about a second: what it finds wrong is in the program, and minutes of RTL
would find it again, so the hardware does not go on then.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from harness.host.terminal import Console, measured

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from sim.memory.model import MemoryModel
    from sim.rtl.vcd import Waves
    from sim.verify.results import ProgramResult, TimedResult
    from sw.program import Program


@dataclasses.dataclass(frozen=True)
class Case:
    """What is run, and what should come out: every tensor by the functional model.

    Inputs besides the first are among these.
    """

    program: Program
    pixels: npt.NDArray[np.int8]
    expected: Mapping[str, npt.NDArray[np.int8]]


@dataclasses.dataclass(frozen=True)
class Interpreted:
    """What the interpreter found, and the seconds that it took."""

    result: ProgramResult
    seconds: float


@dataclasses.dataclass(frozen=True)
class Simulated:
    """What the hardware gave, and the seconds that its preparation and its run took."""

    result: TimedResult
    preparation_seconds: float
    seconds: float


class _WrongProgramError(Exception):
    """The interpreter has found a wrong value; the hardware need not go on."""


def both(
    case: Case, simulator: str, memory: MemoryModel, waves: Waves | None
) -> tuple[Interpreted, Simulated | None]:
    """Run the interpreter in a thread and the hardware beside it.

    Args:
        case: what is run.
        simulator: of the RTL.
        memory: how the memory behaves.
        waves: file to write.

    Returns:
        What both gave; None for the hardware if the interpreter found a wrong value, which ends
        its run, too.

    Raises:
        DnaError: as :func:`interpret`; the machine stopped, or what the simulator needs is missing.
    """
    from sw.errors import DnaError

    with ThreadPoolExecutor(1) as beside:
        interpreting = beside.submit(interpret, case)

        def go_on() -> None:
            if interpreting.done() and interpreting.result().result.mismatches:
                raise _WrongProgramError

        try:
            simulated = _simulate(case, simulator, memory, waves, go_on)
        except _WrongProgramError:
            simulated = None
        except DnaError:
            # Of a wrong program the interpreter says more than the machine that it stopped.
            if not interpreting.result().result.mismatches:
                raise
            simulated = None
        interpreted = interpreting.result()
    return interpreted, None if interpreted.result.mismatches else simulated


def interpret(case: Case) -> Interpreted:
    """Run the interpreter.

    Raises:
        DnaError: the program is none for the machine.
    """
    from sim.interpreter.errors import ProgramError
    from sim.verify.interpreter import interpret_program
    from sw.errors import DnaError

    started = time.perf_counter()
    try:
        result = interpret_program(case.program, case.pixels, case.expected)
    except ProgramError as error:
        raise DnaError(f"the machine would refuse the program: {error}") from error
    return Interpreted(result, time.perf_counter() - started)


def _simulate(
    case: Case,
    simulator: str,
    memory: MemoryModel,
    waves: Waves | None,
    go_on: Callable[[], None],
) -> Simulated:
    """Run the hardware, which ends with what ``go_on`` raises; it is asked now and then."""
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

        def progress(cycles: int) -> None:
            go_on()
            reached(cycles)

        go_on()
        result = verify_program(
            machine,
            program,
            case.pixels,
            case.expected,
            progress=progress,
        )
    return Simulated(result, prepared - started, time.perf_counter() - prepared)
