"""Plans to a program: its bytes, its weights, and the tables that describe both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hw.config import DnaConfig
from hw.isa import ISA_VERSION, MAGIC, Instruction, Opcode, program_bytes
from sw.compiler.emission.depthwise_parameters import depthwise_parameters
from sw.compiler.emission.layer import LayerSteps, emit_layer, program_order
from sw.compiler.emission.lifetimes import lifetimes
from sw.compiler.emission.steps import Step, StepMaker
from sw.compiler.emission.tokens import assign
from sw.compiler.emission.transfers import PlacedParameters, PlacedStream
from sw.compiler.emission.weight_stream import weight_stream
from sw.compiler.emission.window import MemoryWindow
from sw.compiler.layers import Convolution, Depthwise
from sw.compiler.placement import Plan
from sw.graph import Graph
from sw.program import DramTensor, LayerTable, Program


def emit(graph: Graph, config: DnaConfig, plans: list[Plan]) -> Program:
    """The program of planned layers.

    Raises:
        DnaError: something is too large for the instruction set or for the memory window.
    """
    placed, weights = layer_weights(config, plans)

    def emitted(lives: Mapping[str, range]) -> tuple[MemoryWindow, list[LayerSteps]]:
        window = MemoryWindow(config, len(weights))
        window.place_maps(graph, plans, lives=lives)
        return window, [
            emit_layer(config, plan, window.dram, placed.get(plan.layer.number)) for plan in plans
        ]

    window, layers = emitted({})
    if window.spilled:
        window, layers = emitted(lifetimes(program_order(layers), window.spilled))
    end = StepMaker(config, plans[-1].layer)(Opcode.END, {})
    code = machine_code(config, [*program_order(layers), end])
    return Program(
        config=config,
        code=code,
        weights=weights,
        memory=window.memory_map(graph, len(code)),
        layers=[layer_table(window.dram, layer) for layer in layers],
    )


def layer_weights(
    config: DnaConfig, plans: Iterable[Plan]
) -> tuple[dict[int, PlacedStream | PlacedParameters], bytes]:
    """The weights of every layer that has some, by its number, and all of them as they are in DRAM.

    They come first in the memory window, each at a DRAM word.
    """
    placed: dict[int, PlacedStream | PlacedParameters] = {}
    parts, offset = [], 0
    for plan in plans:
        layer = plan.layer
        match layer:
            case Convolution():
                stream = weight_stream(config, layer, plan.choice.tilings[0].links)
                placed[layer.number] = PlacedStream(stream, offset)
                content = stream.content
            case Depthwise():
                parameters = depthwise_parameters(config, layer)
                placed[layer.number] = PlacedParameters(parameters, offset)
                content = parameters.tobytes()
            case _:
                continue
        word = config.dram_bytes_per_cycle
        parts.append(content.ljust(-(-len(content) // word) * word, b"\0"))
        offset += len(parts[-1])
    return placed, b"".join(parts)


def machine_code(config: DnaConfig, steps: list[Step]) -> bytes:
    """The bytes of a program that ends with END."""
    header = {
        "magic": MAGIC,
        "isa_version": ISA_VERSION,
        "config": int(config.digest, 16),
        "length": len(steps) + 1,
    }
    program = [Instruction(Opcode.HEADER, header)]
    for step, tokens in zip(steps, assign(steps), strict=True):
        fields = {**step.instruction.fields, "wait": tokens.wait, "signal": tokens.signal}
        program.append(Instruction(step.opcode, fields))
    return program_bytes(program)


def layer_table(dram: Mapping[str, DramTensor], emitted: LayerSteps) -> LayerTable:
    """What the program's table says of a layer.

    Args:
        dram: every tensor that lives in DRAM, by name.
    """
    layer, choice, estimate = emitted.plan.layer, emitted.plan.choice, emitted.plan.way.estimate
    tiling = choice.tilings[0] if choice.tilings else None
    target = layer.target
    return LayerTable(
        number=layer.number,
        operations=list(layer.operations),
        kind=layer.kind,
        output=target.tensor,
        shape=(target.height, target.width, target.channels),
        words=target.words,
        stripes=emitted.places,
        dram=dram.get(target.tensor),
        split=1 << tiling.links.split if tiling else 0,
        neighbours=tiling.links.neighbours if tiling else 0,
        channel_tiles=tiling.channel_tiles if tiling else 0,
        pixel_tiles=tiling.pixel_tiles if tiling else 0,
        tile_pixels=tiling.tile_pixels if tiling else 0,
        macs=layer.macs,
        weight_bytes=emitted.dram_bytes(Opcode.WEIGHTS),
        load_bytes=emitted.dram_bytes(Opcode.LOAD),
        store_bytes=emitted.dram_bytes(Opcode.STORE),
        estimated_cycles=estimate.cycles,
        bound=estimate.bound,
    )
