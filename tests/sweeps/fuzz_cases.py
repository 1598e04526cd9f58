"""What the sweeps try: random cases, and the run of one against the reference.

A case is a pure function of a seed and a number.
"""

from __future__ import annotations

import dataclasses
import re
import traceback
from collections.abc import Callable, Mapping

import msgspec
import numpy as np
import numpy.typing as npt

from hw.config import DnaConfig
from sim.driver import MachineError
from sim.memory.model import MemoryModel
from sim.memory.presets import PRESETS
from sim.memory.stalls import Stalls
from sim.reference import ReferenceModel
from sim.rtl.registry import open_simulator
from sim.rtl.simulator import Simulator
from sim.verify.outputs import together
from sim.verify.results import ProgramResult
from sim.verify.rtl import verify_program
from sw.compiler import compile_graph
from sw.errors import DnaError
from sw.graph import Graph
from sw.operations import Windowed
from sw.program import Program
from tests.support.programs import noise, random_layer, random_network, with_more_outputs

Int8 = npt.NDArray[np.int8]
Expect = Callable[[Graph, Int8], Mapping[str, Int8]]
Look = Callable[[Program, int, Simulator], None]

LEAST_WORDS = re.compile(r"needs feature_words of at least (\d+)$")
TOO_LARGE = "is too large for the machine"
"""What the compiler may refuse a random case for."""

MOST_CYCLES = 60_000_000
"""A case that runs for so long never ends: with the slowest memory some take half of it."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A network, an image and a memory; the machine is known from elsewhere.

    With several ``images`` one program computes them all: ``image`` and others made of it.
    """

    graph: Graph
    image: Int8
    memory: MemoryModel
    images: int = 1

    @property
    def each(self) -> list[Int8]:
        """The images, turned by one more row each so that no two are equal."""
        return [np.roll(self.image, number, axis=0) for number in range(self.images)]

    @property
    def pixels(self) -> Int8:
        """What the program takes."""
        return self.image if self.images == 1 else np.stack(self.each)

    def program(self, config: DnaConfig) -> Program:
        """What the compiler makes of it."""
        return compile_graph(self.graph, config, self.memory.bandwidth, images=self.images)

    def __str__(self) -> str:
        tensors = self.graph.tensors
        lines = [f"{self.images} x input {tensors[self.graph.input].shape}, {self.memory}"]
        for operation in self.graph.operations:
            text = f"{operation.name}({', '.join(operation.inputs)})"
            if isinstance(operation, Windowed):
                padding = msgspec.structs.astuple(operation.padding)
                text += f" kernel {operation.kernel} stride {operation.stride} padding {padding}"
            lines.append(f"{text} -> {tensors[operation.output].shape}")
        return "\n".join(lines)


OUTPUTS = 1
"""A number that sets the draw of outputs apart from that of the rest."""
OUTPUTS_SHARE = 0.25


@dataclasses.dataclass(frozen=True)
class Failure:
    """What went wrong: ``kind`` stays the same while the case shrinks, ``text`` need not."""

    kind: str
    text: str


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a case ended: refused by the compiler (and why), failed, or right."""

    refused: str | None = None
    failure: Failure | None = None
    values: int = 0
    mismatches: int = 0
    cycles: int = 0


def draw(seed: int, number: int) -> Case:
    """The case ``number`` of ``seed``."""
    rng = np.random.default_rng([seed, number])
    graph = (random_network if rng.random() < 0.5 else random_layer)(rng)
    more = np.random.default_rng([seed, number, OUTPUTS])
    if more.random() < OUTPUTS_SHARE:
        graph = with_more_outputs(more, graph)
    memory = MemoryModel(
        latency=int(rng.integers(1, 200)),
        bandwidth=float(rng.choice([0.1, 0.25, 0.5, 1.0])),
        reorder=bool(rng.integers(2)),
        stalls=Stalls(float(rng.choice([0.0, 0.1, 0.3, 0.6])), int(rng.integers(1 << 32))),
    )
    image, images = noise(rng, graph), int(rng.choice([1, 1, 2, 3]))
    if rng.random() < 0.5:
        several, name = str(rng.choice(["", "2x", "4x"])), str(rng.choice(list(PRESETS)))
        dram = MemoryModel.named(several + name, float(rng.choice([50, 100, 300, 333.3, 1000])))
        memory = dataclasses.replace(dram, reorder=memory.reorder, stalls=memory.stalls)
    return Case(graph, image, memory, images)


def right(graph: Graph, image: Int8) -> Mapping[str, Int8]:
    """Every tensor as the reference computes it."""
    return ReferenceModel(graph).run_all(image)


def run(
    case: Case,
    config: DnaConfig,
    expect: Expect = right,
    engine: str = "cxxrtl",
    look: Look | None = None,
) -> Outcome:
    """Compile, run on the machine in RTL, compare. No exception but Ctrl-C leaves here.

    Args:
        expect: what every tensor should be.
        look: called when the machine has run.
    """
    try:
        program = case.program(config)
    except DnaError as error:
        return _refused(case, config, str(error))
    except Exception as error:
        return Outcome(failure=_crash("compiler", error))
    try:
        with open_simulator(
            config, engine, size=program.memory.size, memory=case.memory, record_writes=True
        ) as machine:
            expected = together([expect(case.graph, image) for image in case.each])
            result = verify_program(machine, program, case.pixels, expected, progress=_limit)
            if look is not None:
                look(program, result.cycles, machine)
    except MachineError as error:
        return Outcome(failure=Failure(error.code.name, str(error)))
    except Exception as error:
        return Outcome(failure=_crash("run", error))
    failure = _difference(result) if result.mismatches else None
    return Outcome(None, failure, result.values, result.mismatches, result.cycles)


def _refused(case: Case, config: DnaConfig, why: str) -> Outcome:
    """Refused, if it is for what no machine can do, or if the machine that is asked for can."""
    least = LEAST_WORDS.search(why)
    if least is None:
        known = TOO_LARGE in why
        return Outcome(refused=why) if known else Outcome(failure=Failure("refusal", why))
    larger = dataclasses.replace(config, feature_words=int(least[1]))
    try:
        case.program(larger)
    except DnaError as error:
        return Outcome(failure=Failure("refusal", f"{why}; with as many: {error}"))
    return Outcome(refused=why)


def _limit(cycles: int) -> None:
    if cycles > MOST_CYCLES:
        raise DnaError(f"there was no interrupt in {MOST_CYCLES} cycles")


def _crash(where: str, error: Exception) -> Failure:
    lines = traceback.format_exception(error)
    return Failure(f"{type(error).__name__} in the {where}", "".join(lines[-2:]).strip())


def _difference(result: ProgramResult) -> Failure:
    wrong = [f"{layer.name}: {layer.first}" for layer in result.layers if layer.first]
    text = wrong[0] if wrong else "the output in memory differs, in the feature memory it does not"
    return Failure("mismatch", f"{result.mismatches} values differ; {text}")
