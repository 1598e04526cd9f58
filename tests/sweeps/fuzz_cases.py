"""What the fuzzer tries: random cases, the run of one against the reference, and shrinking.

A case is a pure function of a seed, a number and a machine.
"""

from __future__ import annotations

import contextlib
import dataclasses
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from hw.config import PRESETS, DnaConfig
from sim.driver import MachineError
from sim.memory.model import MemoryModel
from sim.memory.stalls import Stalls
from sim.reference import ReferenceModel
from sim.rtl.registry import open_simulator
from sim.verify.results import ProgramResult
from sim.verify.rtl import verify_program
from sw.compiler import compile_graph
from sw.errors import DnaError
from sw.graph import Graph
from sw.graph_builder import GraphBuilder, Output, Weights, Window
from sw.operations import (
    Add,
    AveragePool2D,
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    MaxPool2D,
    Mean,
    Operation,
    Padding,
    Windowed,
)
from tests.support.programs import noise, random_layer, random_network

Int8 = npt.NDArray[np.int8]
Expect = Callable[[Graph, Int8], Mapping[str, Int8]]

MACHINES = {
    config.name: config
    for config in (
        PRESETS["nano"],
        DnaConfig(
            name="1x8x8",
            modules=1,
            rows=8,
            columns=8,
            lanes=8,
            accumulation_depth=64,
            dram_bytes_per_cycle=8,
            feature_words=1024,
            weight_fifo_words=4,
            burst_words=4,
        ),
        DnaConfig(
            name="4x2x2",
            modules=4,
            rows=2,
            columns=2,
            lanes=8,
            accumulation_depth=8,
            dram_bytes_per_cycle=8,
            feature_words=2048,
            weight_fifo_words=8,
            outstanding_bursts=2,
        ),
        DnaConfig(
            name="2x8x8",
            modules=2,
            rows=8,
            columns=8,
            lanes=16,
            accumulation_depth=32,
            dram_bytes_per_cycle=16,
            feature_words=512,
            weight_fifo_words=32,
            burst_words=8,
            outstanding_bursts=4,
            dram_ports=2,
            port_granule_bytes=256,
        ),
        DnaConfig(
            name="8x2x2",
            modules=8,
            rows=2,
            columns=2,
            lanes=4,
            accumulation_depth=16,
            dram_bytes_per_cycle=16,
            feature_words=2048,
            weight_fifo_words=8,
            burst_words=4,
            outstanding_bursts=4,
            dram_ports=4,
            port_granule_bytes=64,
        ),
    )
}
"""Small machines that differ in everything; few, because each takes a minute or two to compile."""

MOST_CYCLES = 30_000_000
"""A case that runs for so long never ends: the longest take a hundredth."""

MOST_ATTEMPTS = 150
"""Cases that shrinking may try."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A network, an image and a memory; the machine is known from elsewhere."""

    graph: Graph
    image: Int8
    memory: MemoryModel

    def __str__(self) -> str:
        tensors = self.graph.tensors
        lines = [f"input {tensors[self.graph.input].shape}, {self.memory}"]
        for operation in self.graph.operations:
            text = f"{operation.name}({', '.join(operation.inputs)})"
            if isinstance(operation, Windowed):
                padding = msgspec.structs.astuple(operation.padding)
                text += f" kernel {operation.kernel} stride {operation.stride} padding {padding}"
            lines.append(f"{text} -> {tensors[operation.output].shape}")
        return "\n".join(lines)


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
    memory = MemoryModel(
        latency=int(rng.integers(1, 200)),
        bandwidth=float(rng.choice([0.1, 0.25, 0.5, 1.0])),
        reorder=bool(rng.integers(2)),
        stalls=Stalls(float(rng.choice([0.0, 0.1, 0.3, 0.6])), int(rng.integers(1 << 32))),
    )
    return Case(graph, noise(rng, graph), memory)


def right(graph: Graph, image: Int8) -> Mapping[str, Int8]:
    """Every tensor as the reference computes it."""
    return ReferenceModel(graph).run_all(image)


def run(case: Case, config: DnaConfig, expect: Expect = right) -> Outcome:
    """Compile, run on the compiled machine, compare. No exception but Ctrl-C leaves here."""
    try:
        program = compile_graph(case.graph, config, case.memory.bandwidth)
    except DnaError as error:
        return Outcome(refused=str(error))
    except Exception as error:
        return Outcome(failure=_crash("compiler", error))
    try:
        with open_simulator(
            config, size=program.memory.size, memory=case.memory, record_writes=True
        ) as machine:
            result = verify_program(
                machine, program, case.image, expect(case.graph, case.image), progress=_limit
            )
    except MachineError as error:
        return Outcome(failure=Failure(error.code.name, str(error)))
    except Exception as error:
        return Outcome(failure=_crash("run", error))
    failure = _difference(result) if result.mismatches else None
    return Outcome(None, failure, result.values, result.mismatches, result.cycles)


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


def shrink(case: Case, config: DnaConfig, expect: Expect = right) -> tuple[Case, Failure]:
    """A case that fails in the same way and that no single step makes simpler.

    Args:
        case: one that fails.

    Returns:
        The smallest that was found in ``MOST_ATTEMPTS`` runs, and how it fails.
    """
    failure = run(case, config, expect).failure
    assert failure is not None
    attempts = 0
    progress = True
    while progress:
        progress = False
        for candidate in _simpler(case):
            attempts += 1
            if attempts > MOST_ATTEMPTS:
                return case, failure
            found = run(candidate, config, expect).failure
            if found is not None and found.kind == failure.kind:
                case, failure, progress = candidate, found, True
                break
    return case, failure


def _simpler(case: Case) -> Iterator[Case]:
    """Cases that are a step simpler, the largest steps first."""
    graph = case.graph
    if case.memory != MemoryModel():
        yield dataclasses.replace(case, memory=MemoryModel())
    inner = [operation.output for operation in graph.operations if operation.output != graph.output]
    tensors = ReferenceModel(graph).run_all(case.image)
    steps: list[dict[str, Any]] = [
        *({"target": name} for name in inner),
        *({"source": name} for name in reversed(inner)),
        *({"shape": shape} for shape in _smaller(graph.tensors[graph.input].shape)),
        *(
            {"edits": {operation.name: edit}}
            for operation in graph.operations
            for edit in _edits(graph, operation)
        ),
    ]
    for step in steps:
        with contextlib.suppress(DnaError):
            smaller = rebuild(graph, **step)
            image = tensors[smaller.input]
            inside = tuple(slice(size) for size in smaller.tensors[smaller.input].shape)
            yield dataclasses.replace(
                case, graph=smaller, image=np.ascontiguousarray(image[inside])
            )


def _less(size: int) -> list[int]:
    return sorted({1, size // 2, size - 1} & set(range(1, size)))


def _smaller(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    for axis, size in enumerate(shape):
        for less in _less(size):
            yield (*shape[:axis], less, *shape[axis + 1 :])


def _edits(graph: Graph, operation: Operation) -> Iterator[dict[str, Any]]:
    if isinstance(operation, Windowed):
        if operation.padding != Padding():
            yield {"padding": Padding()}
        if operation.stride != (1, 1):
            yield {"stride": (1, 1)}
        for kernel in _smaller(operation.kernel):
            yield {"kernel": kernel}
    if isinstance(operation, Conv2D | FullyConnected):
        for channels in _less(graph.result(operation).shape[-1]):
            yield {"channels": channels}


def rebuild(
    graph: Graph,
    *,
    source: str | None = None,
    target: str | None = None,
    shape: tuple[int, ...] | None = None,
    edits: Mapping[str, Mapping[str, Any]] | None = None,
) -> Graph:
    """A part of ``graph``, or the same with other sizes; what weights are left keep their values.

    Args:
        source: tensor that becomes the input.
        target: tensor that becomes the output.
        shape: of the input, nowhere larger than it is.
        edits: by operation, other ``kernel``, ``stride``, ``padding`` or ``channels``.

    Raises:
        DnaError: there is no such graph.
    """
    source, target = source or graph.input, target or graph.output
    first = graph.tensors[source]
    builder = GraphBuilder(source, shape or first.shape, first.scale, first.zero_point)
    needed, made = {target}, []
    for operation in reversed(graph.operations):
        if operation.output in needed - {source}:
            made.append(operation)
            needed |= set(operation.inputs)
    for operation in reversed(made):
        REBUILD[type(operation)](
            Rebuilt(builder, graph, operation, (edits or {}).get(operation.name, {}))
        )
    return builder.finish(target)


@dataclasses.dataclass(frozen=True)
class Rebuilt:
    """An operation of ``graph``, changed by ``edit``, for the graph that ``builder`` has."""

    builder: GraphBuilder
    graph: Graph
    operation: Any
    edit: Mapping[str, Any]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the operation, and of what it reads."""
        return (self.operation.name, *self.operation.inputs)

    @property
    def output(self) -> Output:
        result = self.graph.result(self.operation)
        return Output(
            result.scale, result.zero_point, getattr(self.operation, "activation", "none")
        )

    @property
    def window(self) -> Window:
        wanted = (self.edit.get(key, getattr(self.operation, key)) for key in WINDOW)
        return Window(*wanted)

    def weights(self) -> Weights:
        """Those that fit what the operation reads now."""
        out = slice(self.edit.get("channels"))
        values, bias, scale = (
            self.graph.constant(self.operation, what)[out]
            for what in ("weights", "bias", "weight_scale")
        )
        shape = self.builder.tensor(self.operation.inputs[0]).shape
        if isinstance(self.operation, FullyConnected):
            return Weights(values[:, : int(np.prod(shape))], bias, scale)
        height, width = self.window.kernel
        values = values[:, :height, :width]
        if isinstance(self.operation, Conv2D):
            return Weights(values[..., : shape[-1]], bias, scale)
        inputs = self.graph.operands(self.operation)[0].shape[-1]
        kept = shape[-1] * (len(values) // inputs)
        return Weights(values[:kept], bias[:kept], scale[:kept])


WINDOW = ("kernel", "stride", "padding")
REBUILD: dict[type[Operation], Callable[[Rebuilt], str]] = {
    Conv2D: lambda it: it.builder.conv2d(*it.names, it.weights(), it.output, it.window),
    DepthwiseConv2D: lambda it: it.builder.depthwise_conv2d(
        *it.names, it.weights(), it.output, it.window
    ),
    FullyConnected: lambda it: it.builder.fully_connected(*it.names, it.weights(), it.output),
    Add: lambda it: it.builder.add(*it.names, it.output),
    MaxPool2D: lambda it: it.builder.max_pool2d(*it.names, it.window),
    AveragePool2D: lambda it: it.builder.average_pool2d(*it.names, it.window),
    Mean: lambda it: it.builder.mean(
        *it.names, it.output, keep_dims=len(it.graph.result(it.operation).shape) == 3
    ),
}
"""How an operation of each class is added once more, with other sizes."""
