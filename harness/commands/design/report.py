"""``dna report``: what a compiled network scores on the modelled machine, and where cycles go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.common import PATH, check_writable, json_option, say_written, write_json
from harness.commands.modelled import clock_option, memory_options, timing_option
from harness.commands.numbers import ACCESS, COPY
from harness.hardware.energy_constants import DEFAULT, TECHNOLOGIES
from harness.host.between import ACCESS_NS
from sw.host import files

if TYPE_CHECKING:
    from harness.hardware.memory import MemoryChoice
    from harness.report.figures import Report

LAYERS_SHOWN = 8


@click.command("report", short_help="The modelled score, and where the cycles go, as a page.")
@click.argument("artifact", type=PATH)
@click.option("-o", "--output", type=PATH, metavar="FILE", help="Write the page, HTML.")
@click.option("--trace", type=PATH, metavar="FILE", help="Write a trace for Perfetto, JSON.")
@timing_option
@clock_option
@memory_options
@click.option(
    "--technology",
    type=click.Choice(list(TECHNOLOGIES)),
    default=DEFAULT,
    show_default=True,
    help="For which the energy is estimated, from published energies of single events.",
)
@click.option(
    "--host-access",
    "access_ns",
    type=ACCESS,
    default=ACCESS_NS,
    show_default=True,
    metavar="NS",
    help="Of the host: an access to a register of the machine.",
)
@click.option(
    "--host-copy",
    "copy_gb_per_s",
    type=COPY,
    show_default="as measured on this computer",
    metavar="GB/S",
    help="Of the host: copying the image to the machine's memory.",
)
@json_option
def command(
    artifact: Path,
    output: Path | None,
    trace: Path | None,
    timing_file: Path | None,
    clock_mhz: float | None,
    memory: MemoryChoice,
    technology: str,
    access_ns: float,
    copy_gb_per_s: float | None,
    json_file: Path | None,
) -> None:
    """Predict the run of ARTIFACT, which `dna compile` made, and report on it.

    All of it is modelled: latency, images per second and utilization of the whole network, cycles
    and stalls of each layer, roofline, what each engine does when, what is in the feature memory,
    energy (estimated), and the area: an estimate, and beside it what the timing file has. The page
    needs no network and no other file.

    \b
    Examples:
      dna report resnet50.f200 -o report.html --json report.json --trace trace.json
      dna report resnet50.nano --timing nano.json
      dna report resnet50.f200 --memory 2xddr4-2400x64 --clock 300
    """  # noqa: D301 (click reads the escape)
    import msgspec

    from harness.hardware.timing import clock
    from harness.host.terminal import Console
    from harness.report.figures import batch_figures, report
    from harness.report.page import page
    from harness.report.trace import trace as trace_events
    from sim.cycles import predict
    from sim.host import host_time
    from sw import artifact as artifacts

    for path in (output, trace, json_file):
        check_writable(path)
    network = artifacts.load(artifact)
    program = artifacts.program_of(network, artifact)
    machine_clock, timing = clock.chosen(program.config, timing_file, clock_mhz)
    model = memory.at(machine_clock.mhz)
    errors = Console(stderr=True)
    with errors.status(f"modelling {program.config.name}"):
        prediction = predict(program, model)
        batch = None
        if network.batch is not None:
            batch = batch_figures(network.batch, predict(network.batch, model), machine_clock)
        figures = report(
            program,
            prediction,
            memory=model,
            clock=machine_clock,
            timing=timing,
            model=network.manifest.model,
            technology=technology,
            batch=batch,
            host=host_time(network),
            access_ns=access_ns,
            copy_gb_per_s=copy_gb_per_s,
        )
    if output is not None:
        files.write(output, page(figures))
    if trace is not None:
        files.write(trace, json.dumps(trace_events(figures)) + "\n")
    write_json(json_file, msgspec.to_builtins(figures))
    _print(figures)
    say_written(output, trace, json_file)


def _print(figures: Report) -> None:
    """The score, and the layers that lose most."""
    from harness.host.terminal import Console, Table
    from harness.report.figures import OVER, Use

    memory = figures.memory
    console = Console()
    table = Table("layer", title=f"The {LAYERS_SHOWN} layers that lose most cycles (modelled)")
    table.add_columns("cycles", "ms", "used", "lost", right=True)
    table.add_columns("to", "bound")
    shown = sorted(figures.layers, key=lambda layer: layer.lost, reverse=True)[:LAYERS_SHOWN]
    for layer in shown:
        causes = {use: cycles for use, cycles in layer.uses.items() if use != Use.MACS}
        table.add_row(
            layer.name,
            f"{layer.cycles:,}",
            f"{layer.cycles / (figures.clock.mhz * 1e3):.3f}",
            f"{layer.utilization:.1%}" if layer.macs else "",
            f"{layer.lost:,}",
            ", ".join(
                f"{cycles:,} {use}"
                for use, cycles in sorted(causes.items(), key=lambda cause: -cause[1])
            ),
            layer.bound,
        )
    console.print(table)
    for layer in shown:
        if layer.utilization > OVER:
            console.print(
                f"{layer.name} uses more than 100%: it began {layer.early:,} cycles early, beside "
                "the layers before it, in whose time these are counted"
            )
    stalls = ", ".join(
        f"{cycles / figures.cycles:.1%} {use}"
        for use, cycles in figures.uses.items()
        if use != Use.MACS
    )
    console.print(
        f"{figures.model} on {figures.config}, modelled: {figures.latency_ms:.3f} ms, "
        f"{figures.throughput_per_s:.1f} images/s, MAC utilization {figures.utilization:.1%}"
        f" ({figures.utilization_all:.1%} of all multipliers); "
        f"{figures.cycles:,} cycles at {figures.clock}, {memory['name']} memory of at most "
        f"{memory['bytes_per_cycle']:.4g} bytes a cycle; "
        f"lost: {stalls}"
    )
    if figures.beside_conv is not None:
        console.print(f"CONV works in {figures.beside_conv:.1%} of DEPTHWISE's working cycles")
    if figures.host is not None:
        console.print(str(figures.host))
    console.print(str(figures.between))
    energy = figures.energy
    console.print(
        f"estimated in {energy.technology}: {energy.mj_per_image:.2f} mJ an image "
        f"({energy.mj_low:.2f} to {energy.mj_high:.2f}), of them {energy.mj_machine:.2f} the "
        f"machine without its DRAM; {energy.tops_per_w:.2f} TOPS/W"
        + ("" if energy.sram_mm2 is None else f"; {energy.sram_mm2:.2f} mm2 of memories")
    )
    if figures.batch is not None:
        console.print(
            f"the images per second are those of the program of {figures.batch.images} images: "
            f"{figures.batch.cycles:,} cycles, {figures.batch.cycles_per_image:,.0f} an image, MAC "
            f"utilization {figures.batch.utilization:.1%}; the rest is of one image"
        )
