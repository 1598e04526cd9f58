"""``dna rtl``: Verilog of a machine, its registers, and what it takes of an FPGA."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.common import PATH, check_writable, config_option, json_option, write_json
from harness.commands.numbers import CLOCK
from sw.errors import DnaError
from sw.host import files

if TYPE_CHECKING:
    from harness.hardware.resources import Estimate
    from harness.host.terminal import Table
    from hw.config import DnaConfig

CHECK_FAILED = 1
VERILOG, REGISTERS, RESOURCES = "dna.v", "registers.md", "resources.json"
WRAPPER, CONSTRAINTS = "dna_axi.v", "dna_axi.sdc"
CLOCK_MHZ = 300.0


@click.command("rtl", short_help="Write a machine as Verilog and estimate its size.")
@config_option
@click.option("-o", "--output", type=PATH, required=True, metavar="DIR", help="Where to write.")
@click.option(
    "--memory-clock",
    type=CLOCK,
    metavar="MHZ",
    help="The ports to memory have a clock of their own.",
)
@json_option
def command(
    config_name: str, output: Path, memory_clock: float | None, json_file: Path | None
) -> None:
    """Write dna.v, dna_axi.v, dna_axi.sdc, registers.md, resources.json and a driver to DIR.

    dna_axi is a wrapper with AXI's aclk and aresetn, dna_axi.sdc its clock of 300 MHz. With
    --memory-clock it has m_axi_aclk and m_axi_aresetn, too, and queues between the two clocks.
    dna_driver.h, dna_driver.c and dna_registers.h are a driver in C for a host without Python;
    `dna pack` writes what it needs of a network.

    The resources are an estimate of Yosys' for Xilinx UltraScale+: it synthesises each block once,
    alone, and the figures are multiplied by the number of its instances. The exit code is 1 if a
    multiplier of the arrays became no DSP block or a large memory no RAM.

    \b
    Example:
      dna rtl --config nano -o build/nano
    """  # noqa: D301 (click reads the escape)
    from harness.hardware import resources, verilog
    from harness.hardware.configuration import configuration
    from harness.hardware.driver import headers
    from harness.host.terminal import Console
    from hw.axi_top import constraints
    from hw.bus import registers

    config = configuration(config_name)
    check_writable(json_file)
    _prepare(output)

    sdc = constraints(1000 / CLOCK_MHZ, None if memory_clock is None else 1000 / memory_clock)
    with Console(stderr=True).status(f"elaborating {config.name}") as status:
        modules = verilog.design(config)
        files.write(output / REGISTERS, registers.document())
        files.write(output / CONSTRAINTS, sdc)
        files.write(output / headers.REGISTERS, headers.registers_header())
        for name in headers.SOURCES:
            files.write(output / name, headers.source(name))
        outside = verilog.wrapper(config, memory_clock=memory_clock is not None)
        verilog.write_verilog(outside, output / WRAPPER, lambda _: None)
        verilog.write_verilog(
            modules, output / VERILOG, lambda step: status.update(f"writing Verilog: {step}")
        )
        estimate = resources.estimate(
            config, modules, lambda step: status.update(f"synthesising: {step}")
        )
    figures = _figures(config, estimate)
    write_json(output / RESOURCES, figures)
    console = Console()
    console.print(_blocks(config, estimate))
    console.print(_memories(estimate))
    write_json(json_file, figures)
    for problem in estimate.problems:
        click.echo(problem, err=True)
    if estimate.problems:
        sys.exit(CHECK_FAILED)
    click.echo(f"{config.macs} multipliers in DSP blocks; no large memory in logic. See {output}.")


def _prepare(output: Path) -> None:
    """Make the directory, and find out now whether its files can be written."""
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DnaError(f"cannot make the directory {output}: {error.strerror}") from error
    from harness.hardware.driver import headers

    written = (VERILOG, WRAPPER, CONSTRAINTS, REGISTERS, RESOURCES)
    for name in (*written, headers.REGISTERS, *headers.SOURCES):
        check_writable(output / name)


def _figures(config: DnaConfig, estimate: Estimate) -> dict[str, Any]:
    import msgspec

    from harness.hardware.resources import FAMILY

    return {
        "config": config.name,
        "macs": config.macs,
        "family": FAMILY,
        "estimated": True,
        **msgspec.to_builtins(estimate),
    }


def _blocks(config: DnaConfig, estimate: Estimate) -> Table:
    from harness.host.terminal import Table

    table = Table(
        "block",
        title=f"{config.name} on UltraScale+, estimated block by block with {estimate.yosys}",
    )
    table.add_columns("count", "LUT", "of them RAM", "FF", "DSP", "BRAM36", "URAM", right=True)
    for block in estimate.blocks:
        size = block.resources
        table.add_row(
            "  " * block.depth + block.name.rpartition(".")[2],
            str(block.count),
            *(
                f"{value:,.1f}".removesuffix(".0") if value else ""
                for value in (size.lut, size.lut_ram, size.ff, size.dsp, size.bram, size.uram)
            ),
        )
    return table


def _memories(estimate: Estimate) -> Table:
    from harness.hardware.resources import RAM_WORDS
    from harness.host.terminal import Table

    table = Table("memory", title=f"Memories of more than {RAM_WORDS} words")
    table.add_columns("count", "words", "bits", "RAM", right=True)
    for memory in estimate.memories:
        if memory.words > RAM_WORDS:
            table.add_row(
                memory.name,
                str(memory.count),
                f"{memory.words:,}",
                str(memory.width),
                memory.kind,
            )
    return table
