"""Checks a program of another version's compiler: what holds whatever that compiler chose."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from hw.config import DnaConfig
from hw.isa import (
    ISA_VERSION,
    MAGIC,
    Engine,
    Instruction,
    InstructionError,
    Opcode,
    read_program,
)
from hw.isa.accesses import Memory, Rows, accesses, stream_bytes
from sw.errors import DnaError
from sw.graph import Graph
from sw.program import DramTensor, MemoryMap, Program, Region

WINDOW_LIMIT = 1 << 32
"""Bytes that the machine addresses."""


def check_foreign(program: Program, graph: Graph, path: Path) -> None:
    """Check that ``program`` stays within its memories and is made like a program of ``graph``.

    Raises:
        DnaError: it does not or is not.
    """
    for fault in _faults(program, graph):
        raise DnaError(f"the program of {path} is damaged: {fault}; compile it again")


def _faults(program: Program, graph: Graph) -> Iterator[str]:
    yield from _window_faults(program.memory)
    yield from _edge_faults(program, graph)
    yield from _table_faults(program, graph)
    try:
        instructions = read_program(program.code)
    except InstructionError as error:
        yield str(error)
        return
    yield from _header_faults(instructions[0], program.config)
    layers = {layer.number for layer in program.layers}
    for number, op in enumerate(instructions):
        if op.engine is Engine.CONTROL:
            continue
        if op["layer"] not in layers:
            yield f"instruction {number} is of layer {op['layer']}, which it lacks"
        for fault in _access_faults(op, program):
            yield f"instruction {number} ({op.opcode.name}): {fault}"
    yield from _stream_faults(instructions, program.config)


def _window_faults(memory: MemoryMap) -> Iterator[str]:
    if not 0 < memory.size <= WINDOW_LIMIT:
        yield f"a memory window of {memory.size} bytes"
    maps = (memory.input, *memory.outputs, *memory.operands)
    for tensor in maps:
        sizes = (tensor.height, tensor.width, tensor.channels)
        if min(sizes) < 1 or tensor.pixel_bytes < tensor.channels:
            yield f"{tensor.tensor} has {sizes} values in pixels of {tensor.pixel_bytes} bytes"
        if tensor.pitch < tensor.width * tensor.pixel_bytes:
            yield f"rows of {tensor.tensor} overlap"
    regions = [memory.program, memory.weights, *(tensor.region for tensor in maps), memory.spill]
    for region in (*regions, memory.writable):
        if not _holds(Region(0, memory.size), region.offset, region.end):
            yield f"{region} is not inside {memory.size} bytes"
    used = sorted((region for region in regions if region.length), key=lambda each: each.offset)
    for before, after in itertools.pairwise(used):
        if before.end > after.offset:
            yield f"{before} and {after} overlap"


def _holds(region: Region, start: int, stop: int) -> bool:
    return region.offset <= start <= stop <= region.end


def _edge_faults(program: Program, graph: Graph) -> Iterator[str]:
    memory = program.memory
    if len(memory.outputs) != len(graph.outputs):
        yield f"it ends with {len(memory.outputs)} maps where the graph has {len(graph.outputs)}"
    edges = zip(memory.outputs, graph.outputs, strict=False)
    for tensor, name in ((memory.input, graph.input), *edges):
        shape = _stacked(graph.tensors[name].shape, program.images)
        if tensor.tensor != name or _shape(tensor) != shape:
            yield f"{tensor} is not {graph.tensors[name]}"
    if sorted(each.tensor for each in memory.operands) != sorted(graph.further):
        yield "it is of a part of a network"


def _shape(tensor: DramTensor) -> tuple[int, ...]:
    return tensor.height, tensor.width, tensor.channels


def _stacked(shape: tuple[int, ...], images: int) -> tuple[int, ...]:
    """Of as many maps, one below the other."""
    height, width, channels = shape if len(shape) == 3 else (1, 1, *shape)
    return images * height, width, channels


def _table_faults(program: Program, graph: Graph) -> Iterator[str]:
    if [layer.number for layer in program.layers] != list(range(len(program.layers))):
        yield "its layers are not numbered in order"
    done = [name for layer in program.layers for name in layer.operations]
    if sorted(done) != sorted(operation.name for operation in graph.operations):
        yield "its layers are not the operations of the graph"
    for layer in program.layers:
        tensor = graph.tensors.get(layer.output)
        if tensor is None or _stacked(tensor.shape, program.images) != layer.shape:
            yield f"layer {layer.number} has the output {layer.output!r} {layer.shape}"
        if layer.words * program.config.rows < layer.shape[2]:
            yield f"layer {layer.number} has {layer.words} words for {layer.shape[2]} channels"
        for place in layer.stripes:
            if not (0 <= place.row < place.row + place.rows <= layer.shape[0]):
                yield f"layer {layer.number} has no {place}"


def _header_faults(header: Instruction, config: DnaConfig) -> Iterator[str]:
    expected = {"magic": MAGIC, "isa_version": ISA_VERSION, "config": int(config.digest, 16)}
    for name, value in expected.items():
        if header[name] != value:
            yield f"its {name} is {header[name]:#x}, not {value:#x}"


def _access_faults(op: Instruction, program: Program) -> Iterator[str]:
    memory, touched = program.memory, accesses(op, program.config)
    window = Region(0, memory.size)
    readable = memory.weights if op.opcode is Opcode.WEIGHTS else window
    for rows, dram in (
        *((rows, readable) for rows in touched.reads),
        *((rows, memory.writable) for rows in touched.writes),
    ):
        if rows.rows < 1 or rows.length < 1:
            yield "it touches nothing"
        elif rows.memory is Memory.DRAM and not _holds(dram, *_span(rows)):
            yield f"bytes {rows.start} to {rows.stop} are not inside {dram}"
        elif rows.memory is Memory.FEATURE and not _holds(
            Region(0, program.config.feature_words), *_span(rows)
        ):
            yield f"words {rows.start} to {rows.stop} are not in the feature memory"


def _span(rows: Rows) -> tuple[int, int]:
    return min(rows.start, rows.start + (rows.rows - 1) * rows.pitch), rows.stop


def _stream_faults(instructions: list[Instruction], config: DnaConfig) -> Iterator[str]:
    bytes_of: Counter[Opcode] = Counter()
    for op in instructions:
        if op.opcode is Opcode.WEIGHTS:
            bytes_of[op.opcode] += op["length"] * config.dram_bytes_per_cycle
        elif op.opcode is Opcode.CONV:
            bytes_of[op.opcode] += stream_bytes(op, config)
    if bytes_of[Opcode.WEIGHTS] != bytes_of[Opcode.CONV]:
        yield (
            f"it sends {bytes_of[Opcode.WEIGHTS]} bytes of weights and takes "
            f"{bytes_of[Opcode.CONV]}"
        )
