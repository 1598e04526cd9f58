"""``dna pack``: a compiled network for a host that has the driver in C."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.common import PATH, check_writable
from sw.errors import DnaError


@click.command("pack", short_help="Write a compiled network for the driver in C.")
@click.argument("artifact", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, metavar="DIR", help="Where to write.")
@click.option("--batch", is_flag=True, help="The program of several images.")
def command(artifact: Path, output: Path, batch: bool) -> None:
    """Write dna_memory.bin and dna_program.h of ARTIFACT to DIR.

    dna_memory.bin is what the memory window holds before the first run: program and weights.
    dna_program.h says where everything else goes. The driver, dna_driver.c, and the registers of
    the machine come from `dna rtl`.

    \b
    Example:
      dna pack resnet50.micro -o build/firmware
    """  # noqa: D301 (click reads the escape)
    from harness.data.inputs import check_alone
    from harness.hardware.driver import headers
    from sw import artifact as artifacts
    from sw.host import files

    chosen = artifacts.batch_of if batch else artifacts.program_of
    network = artifacts.load(artifact)
    check_alone(network.manifest)
    program = chosen(network, artifact)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DnaError(f"cannot make the directory {output}: {error.strerror}") from error
    memory, header = output / headers.MEMORY, output / headers.PROGRAM
    for path in (memory, header):
        check_writable(path)
    image = headers.memory_image(program)
    files.write(memory, image)
    files.write(header, headers.program_header(program, artifact.name))
    click.echo(
        f"{memory}: {len(image)} bytes of a window of {program.memory.size}; {header}: "
        f"{program.images} image{'s'[: program.images > 1]} a run on {program.config.name}"
    )
