"""The compiler: an integer graph and a configuration in, a program and its weights out.

Passes, a file each: ``lowering`` (operations to layers), ``tiling`` (tiles, and how many modules
share a reduction), ``striping`` (work that does not fit at once), ``allocation`` (feature memory or
DRAM), ``overlap`` (layers that begin while the one before drains), ``weight_stream``, ``assembly``
(instructions) and ``tokens`` (their order). Their estimates are of a ``machine``. The same input
gives the same bytes.
"""

from __future__ import annotations

from hw.config import DnaConfig
from hw.isa import (
    ISA_VERSION,
    MAGIC,
    Instruction,
    InstructionError,
    Opcode,
    program_bytes,
)
from sw.compiler.allocation import Plan, plan
from sw.compiler.assembly import LayerAssembler, PlacedStream, program_order
from sw.compiler.lowering import Convolution, Layer, Plane, lower
from sw.compiler.machine import Machine
from sw.compiler.overlap import overlap
from sw.compiler.tiling import choose_splits
from sw.compiler.tokens import Step, Tokens, assign
from sw.compiler.weight_stream import WeightStream, weight_stream
from sw.errors import DnaError
from sw.graph import Graph
from sw.program import DramTensor, LayerTable, MemoryMap, Program, Region

ALIGNMENT = 4096
WINDOW_LIMIT = 1 << 32


def compile_graph(graph: Graph, config: DnaConfig, bandwidth: float = 1.0) -> Program:
    """Compile ``graph`` for the machine ``config``.

    The graph may be a part of one (:meth:`sw.graph.Graph.part`): then what it takes besides its
    input is in ``memory.operands`` of the program.

    Args:
        graph: what to compile.
        config: of the machine.
        bandwidth: of the memory that the schedule is made for, as a part of the DRAM port's
            (:class:`sw.compiler.machine.Machine`).

    Raises:
        DnaError: an operation is not supported, or something does not fit; the message says what
            would make it fit. The bandwidth is out of range.
    """
    machine = Machine(config, bandwidth)
    layers = lower(graph, config)
    splits = choose_splits(machine, [layer for layer in layers if isinstance(layer, Convolution)])
    plans = overlap(machine, plan(machine, layers, splits, (*graph.sources, graph.output)))
    streams = {
        layer.number: weight_stream(config, layer, splits[layer.number])
        for layer in layers
        if isinstance(layer, Convolution)
    }
    window = _Window(config)
    weights = b"".join(stream.content for stream in streams.values())
    weight_region = window.region(len(weights))
    placed = _placed(streams, weight_region.offset)
    dram, spill = _dram_tensors(config, graph, plans, window)
    operands = tuple(dram[name] for name in graph.sources if name != graph.input)

    assemblers = [
        LayerAssembler(config, layer_plan, dram, placed.get(layer_plan.layer.number))
        for layer_plan in plans
    ]
    for assembler in assemblers:
        assembler.assemble()
    code = _program(config, layers, program_order(assemblers))
    output = dram[graph.output]
    memory = MemoryMap(
        program=window.region(len(code)),
        weights=weight_region,
        input=dram[graph.input],
        output=output,
        spill=spill,
        writable=Region(output.offset, spill.end - output.offset),
        size=window.used,
        operands=operands,
    )
    if memory.size > WINDOW_LIMIT:
        raise DnaError(
            f"the network needs a memory window of {memory.size} bytes; "
            f"the machine addresses {WINDOW_LIMIT}"
        )
    tables = [_table(assembler) for assembler in assemblers]
    return Program(config=config, code=code, weights=weights, memory=memory, layers=tables)


class _Window:
    """Hands out the memory window, region by region."""

    def __init__(self, config: DnaConfig) -> None:
        self.alignment = max(ALIGNMENT, config.dram_bytes_per_cycle)
        self.used = 0

    def region(self, length: int) -> Region:
        region = Region(self.used, length)
        self.used += -(-length // self.alignment) * self.alignment
        return region

    def tensor(self, plane: Plane, pixel_bytes: int, pitch: int) -> DramTensor:
        region = self.region(plane.height * pitch)
        return DramTensor(
            plane.tensor,
            plane.height,
            plane.width,
            plane.channels,
            region.offset,
            pitch,
            pixel_bytes,
        )


def _placed(streams: dict[int, WeightStream], offset: int) -> dict[int, PlacedStream]:
    placed = {}
    for number, stream in streams.items():
        placed[number] = PlacedStream(stream, offset)
        offset += len(stream.content)
    return placed


def _dram_tensors(
    config: DnaConfig, graph: Graph, plans: list[Plan], window: _Window
) -> tuple[dict[str, DramTensor], Region]:
    """Place the network's input, operands and output and what has no room, in that order."""
    source = graph.tensors[graph.input]
    height, width, channels = source.shape if len(source.shape) == 3 else (1, 1, *source.shape)
    image = Plane(source.name, height, width, channels, 0)
    dram = {source.name: window.tensor(image, channels, width * channels)}
    word = config.dram_bytes_per_cycle

    def place(plane: Plane) -> DramTensor:
        row_bytes = plane.row_words * config.rows
        return window.tensor(plane, plane.words * config.rows, -(-row_bytes // word) * word)

    for layer_plan in plans:
        for plane in layer_plan.layer.operands:
            if plane.tensor in graph.sources and plane.tensor not in dram:
                dram[plane.tensor] = place(plane)
    targets = [layer_plan.layer.target for layer_plan in plans]
    dram[graph.output] = next(place(plane) for plane in targets if plane.tensor == graph.output)
    start = window.used
    for layer_plan in plans:
        plane = layer_plan.layer.target
        if layer_plan.target is None and plane.tensor != graph.output:
            dram[plane.tensor] = place(plane)
    return dram, Region(start, window.used - start)


def _program(config: DnaConfig, layers: list[Layer], work: list[Step]) -> bytes:
    last = layers[-1].number
    header = {
        "magic": MAGIC,
        "isa_version": ISA_VERSION,
        "config": int(config.digest, 16),
        "length": len(work) + 2,
    }
    steps = [*work, Step(Opcode.END, last, {})]
    program = [Instruction(Opcode.HEADER, header)]
    for step, tokens in zip(steps, assign(steps), strict=True):
        program.append(_instruction(step, tokens, layers[step.layer].name))
    return program_bytes(program)


def _instruction(step: Step, tokens: Tokens, name: str) -> Instruction:
    try:
        return Instruction(
            step.opcode,
            {
                **step.fields,
                "layer": step.layer,
                "wait": tokens.wait,
                "signal": tokens.signal,
            },
        )
    except InstructionError as error:
        raise DnaError(f"{name} is too large for the instruction set: {error}") from error


def _table(assembler: LayerAssembler) -> LayerTable:
    layer, schedule = assembler.layer, assembler.plan.schedule
    tiling = schedule.tilings[0] if schedule.tilings else None
    target = layer.target
    return LayerTable(
        number=layer.number,
        operations=list(layer.operations),
        kind=layer.kind,
        output=target.tensor,
        shape=(target.height, target.width, target.channels),
        words=target.words,
        stripes=assembler.places,
        dram=assembler.dram.get(target.tensor),
        split=1 << tiling.split if tiling else 0,
        channel_tiles=tiling.channel_tiles if tiling else 0,
        pixel_tiles=tiling.pixel_tiles if tiling else 0,
        tile_pixels=tiling.tile_pixels if tiling else 0,
        macs=layer.macs,
        weight_bytes=assembler.traffic.weights,
        load_bytes=assembler.traffic.loads,
        store_bytes=assembler.traffic.stores,
        estimated_cycles=schedule.cycles,
        bound=schedule.bound,
    )


__all__ = ["Program", "compile_graph"]
