"""``dna disasm``: a program as text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.common import PATH
from sw.errors import DnaError

if TYPE_CHECKING:
    from sw.program import LayerTable, Program


@click.command("disasm", short_help="Print the program of a compiled network.")
@click.argument("artifact", type=PATH)
@click.option("--batch", is_flag=True, help="The program of several images.")
def command(artifact: Path, batch: bool) -> None:
    """Print the instructions of ARTIFACT, which `dna compile` made, one a line.

    Fields that are 0 are left out. Lines that start with # say which layer follows; an assembler
    skips them.

    \b
    Example:
      dna disasm resnet50.micro | less
    """  # noqa: D301 (click reads the escape)
    from sw import artifact as artifacts

    chosen = artifacts.batch_of if batch else artifacts.program_of
    for line in listing(chosen(artifacts.load(artifact), artifact)):
        click.echo(line)


def listing(program: Program) -> Iterator[str]:
    """The program as text that :func:`hw.isa.assemble` reads, a comment before each layer."""
    from hw.isa import Engine, InstructionError, disassemble, read_program

    try:
        instructions = read_program(program.code)
    except InstructionError as error:
        raise DnaError(f"the program is damaged: {error}") from error
    layer = None
    for instruction, line in zip(instructions, disassemble(instructions), strict=True):
        if instruction.engine is not Engine.CONTROL and instruction["layer"] != layer:
            layer = instruction["layer"]
            yield f"# layer {layer}: {_describe(program.layers[layer])}"
        yield line


def _describe(layer: LayerTable) -> str:
    height, width, channels = layer.shape
    links = f", k = {layer.split}, p = {layer.neighbours}" if layer.split else ""
    return f"{layer.name}, {layer.kind} to {height} x {width} x {channels}{links}"
