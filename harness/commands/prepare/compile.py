"""``dna compile``: a quantized network into a program for one machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.common import PATH, check_writable, config_option, json_option, write_json
from harness.commands.modelled import bandwidth_option, clock_option, memory_option
from harness.commands.numbers import Count

if TYPE_CHECKING:
    from harness.host.terminal import Table
    from sw.program import LayerTable, Program


@click.command("compile", short_help="Compile a quantized network for a machine.")
@click.argument("model", type=PATH)
@config_option
@memory_option
@clock_option
@bandwidth_option("; the schedule is made for it")
@click.option(
    "--images",
    type=Count("images"),
    default=1,
    show_default=True,
    help="Also make a program that computes so many images, which overlap: for Offline and "
    "MultiStream (which has 8 a query).",
)
@click.option("-o", "--output", type=PATH, required=True, metavar="ARTIFACT", help="The program.")
@json_option
def command(
    model: Path,
    config_name: str,
    memory_name: str,
    clock_mhz: float | None,
    memory_bandwidth: float | None,
    images: int,
    output: Path,
    json_file: Path | None,
) -> None:
    """Compile MODEL, which `dna quantize` made, and print what every layer became.

    The cycles are an estimate of the compiler's, without waiting times that only a run shows, and
    not the score, which is what `dna report` says; both name what binds a layer by the engine. The
    program runs with any memory; `--memory` (at the machine's clock) and `--memory-bandwidth` only
    decide which schedule is the quickest.

    With --images the artifact has two programs, of one image and of several. In that the layers of
    two images take turns, and a classifier's weights are streamed once for all: more images a
    second, each later. LoadGen's scenario says which one runs.

    \b
    Examples:
      dna compile resnet50.dna --config micro -o resnet50.micro --json layers.json
      dna compile resnet50.dna --config f200 --images 8 -o resnet50.f200
      dna compile resnet50.dna --config f200 --memory 2xddr4-2400x64 -o resnet50.f200
    """  # noqa: D301 (click reads the escape)
    from harness.hardware.configuration import configuration
    from harness.hardware.memory import MemoryChoice
    from harness.hardware.timing.clock import ASSUMED_MHZ
    from harness.host.terminal import Console
    from sim.memory.bandwidth import effective_bandwidth
    from sw import artifact
    from sw.compiler import compile_graph

    config = configuration(config_name)
    choice = MemoryChoice(memory_name, bandwidth=memory_bandwidth)
    memory = choice.at(clock_mhz or ASSUMED_MHZ)
    bandwidth = effective_bandwidth(memory, config)
    check_writable(json_file)
    artifact.check_writable(output)
    loaded = artifact.load(model)
    console = Console()
    with Console(stderr=True).status(f"compiling for {config.name}"):
        program = compile_graph(loaded.graph, config, bandwidth)
        batch = None
        if images > 1:
            batch = compile_graph(loaded.graph, config, bandwidth, images=images)
        artifact.save(artifact.with_program(loaded, program, batch), output)
    console.print(_layers(program.layers))
    console.print(_memory(program))
    console.print(
        f"scheduled for {bandwidth:.1%} of the DRAM port's width: "
        f"{memory.text(config.dram_bytes_per_cycle)}"
    )
    cycles = sum(layer.estimated_cycles for layer in program.layers)
    console.print(
        f"{cycles:,} cycles are the compiler's estimate, not the score: `dna report {output}` "
        "predicts the run cycle by cycle, as the hardware takes it"
    )
    figures = {**_figures(program), "memory_bandwidth": bandwidth, "images": images}
    figures["memory"] |= memory.figures(config.dram_bytes_per_cycle)
    if batch is not None:
        console.print(
            f"a second program computes {images} images: {len(batch.code):,} bytes, and a memory "
            f"window of {batch.memory.size:,}"
        )
        figures["batch"] = _figures(batch)
    write_json(json_file, figures)


def _figures(program: Program) -> dict[str, Any]:
    import msgspec

    layers = [{"name": layer.name, **msgspec.to_builtins(layer)} for layer in program.layers]
    return {
        "config": program.config.name,
        "macs": sum(layer.macs for layer in program.layers),
        "estimated_cycles": sum(layer.estimated_cycles for layer in program.layers),
        "memory": msgspec.to_builtins(program.memory),
        "layers": layers,
    }


def _layers(layers: list[LayerTable]) -> Table:
    from harness.host.terminal import Table

    table = Table(title="Layers (weights and data: kB to and from DRAM; cycles: estimated)")
    table.add_columns("#", right=True)
    table.add_columns("layer")
    numbers = ("output", "k, p", "tiles", "stripes", "MMAC", "weights", "data", "cycles")
    table.add_columns(*numbers, right=True)
    table.add_columns("bound")
    for layer in layers:
        tiles = f"{layer.channel_tiles}x{layer.pixel_tiles}x{layer.tile_pixels}px"
        table.add_row(
            str(layer.number),
            layer.name,
            "x".join(str(n) for n in layer.shape),
            f"{layer.split}, {layer.neighbours}" if layer.split else "",
            tiles if layer.split else "",
            str(len(layer.stripes)),
            f"{layer.macs / 1e6:.1f}" if layer.macs else "",
            f"{layer.weight_bytes / 1e3:.0f}" if layer.weight_bytes else "",
            f"{(layer.load_bytes + layer.store_bytes) / 1e3:.1f}",
            f"{layer.estimated_cycles:,}",
            layer.bound,
        )
    macs = sum(layer.macs for layer in layers)
    table.add_section()
    table.add_row(
        "",
        "all",
        *[""] * 4,
        f"{macs / 1e6:.1f}",
        f"{sum(layer.weight_bytes for layer in layers) / 1e3:.0f}",
        f"{sum(layer.load_bytes + layer.store_bytes for layer in layers) / 1e3:.1f}",
        f"{sum(layer.estimated_cycles for layer in layers):,}",
        "",
    )
    return table


def _memory(program: Program) -> Table:
    from harness.host.terminal import Table

    memory = program.memory
    table = Table("what", title="Memory window")
    table.add_columns("offset", "bytes", right=True)
    regions = {
        "weights": memory.weights,
        "input": memory.input.region,
        "output": memory.output.region,
        "spill": memory.spill,
        "program": memory.program,
    }
    for name, region in regions.items():
        table.add_row(name, f"{region.offset:#010x}", f"{region.length:,}")
    table.add_section()
    table.add_row("all", "", f"{memory.size:,}")
    return table
