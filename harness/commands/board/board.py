"""``dna board``: a machine on a board at a serial port, or its simulation."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.common import PATH, check_writable, json_option, write_json
from sw.errors import DnaError

if TYPE_CHECKING:
    from harness.board.soc import SocDescription
    from harness.board.uartbone import Link

DIFFERS = 1


@click.group("board", short_help="Run networks on a board.")
def command() -> None:
    """Run compiled networks on a board that holds the bitstream of `dna soc`.

    \b
    Example:
      dna board run resnet50.nano cat.jpg --soc build/ulx3s --port /dev/ttyUSB0
    """  # noqa: D301 (click reads the escape)


@command.command("run", short_help="Run images, and hold the answers to the functional model.")
@click.argument("artifact", type=PATH)
@click.argument("images", type=PATH, nargs=-1, required=True, metavar="IMAGE...")
@click.option(
    "--soc", "folder", type=PATH, required=True, metavar="DIR", help="What `dna soc` wrote."
)
@click.option("--port", metavar="PORT", help="The board's serial port, such as /dev/ttyUSB0.")
@click.option("--simulated", is_flag=True, help="No board: its Verilog in Verilator.")
@json_option
def run(
    artifact: Path,
    images: tuple[Path, ...],
    folder: Path,
    port: str | None,
    simulated: bool,
    json_file: Path | None,
) -> None:
    """Run ARTIFACT, compiled for the SoC's configuration, on photographs or arrays in .npy files.

    Program and weights are uploaded once; a command that was cut off goes on where it was. Every
    output is compared with the functional model's; one that differs is exit code 1. The machine
    counts its own cycles.

    \b
    Example:
      dna board run resnet50.nano cat.jpg --soc build/ulx3s --port /dev/ttyUSB0
    """  # noqa: D301 (click reads the escape)
    from harness.board.device import BoardMachine
    from harness.board.simulated import SimulatedLink
    from harness.board.sources import read_description
    from harness.data.inputs import check_alone, load_input
    from harness.host.terminal import Console
    from sim.driver import Driver
    from sim.functional import FunctionalModel
    from sw.artifact import load, program_of
    from sw.artifact.host import HEAD

    check_writable(json_file)
    if simulated == (port is not None):
        raise click.UsageError("give --port PORT, or --simulated")
    description = read_description(folder)
    loaded = load(artifact)
    program, graph = program_of(loaded, artifact), loaded.graph
    if HEAD in loaded.host:
        raise DnaError(f"{artifact} has a part in front of the machine, which boards do not run")
    check_alone(loaded.manifest)
    inputs = [(path, load_input(loaded.manifest, path)) for path in images]
    model = FunctionalModel(graph)
    console, results, differ = Console(), [], 0
    with (
        Console(stderr=True).status("looking for the board") as status,
        _link(folder, description, port, status.update) as link,
    ):
        preload = link.preload if isinstance(link, SimulatedLink) else None
        machine = BoardMachine(link, description, _upload(status.update), preload)
        driver = Driver(machine, program)
        for path, pixels in inputs:
            status.update(f"running {path}")
            found = driver.run(pixels)
            wrong = int((found.ravel() != model.run_all(pixels)[graph.output].ravel()).sum())
            differ += wrong
            milliseconds = driver.cycles / description.clock_hz * 1e3
            console.print(
                f"{path}: {found.size:,} values, {wrong} differ from the functional model; "
                f"{driver.cycles:,} cycles, {milliseconds:.3f} ms at "
                f"{description.clock_hz / 1e6:g} MHz"
            )
            results.append(_result(path, found.size, wrong, driver.cycles, milliseconds))
    write_json(
        json_file,
        {
            "board": description.board,
            "config": description.config,
            "simulated": simulated,
            "verilog": description.verilog,
            "clock_hz": description.clock_hz,
            "images": results,
        },
    )
    click.get_current_context().exit(DIFFERS if differ else 0)


def _result(path: Path, values: int, differ: int, cycles: int, ms: float) -> dict[str, Any]:
    return {"file": str(path), "values": values, "differ": differ, "cycles": cycles, "ms": ms}


@contextlib.contextmanager
def _link(
    folder: Path, description: SocDescription, port: str | None, tell: Callable[[str], None]
) -> Iterator[Link]:
    from harness.board.serial_link import SerialLink
    from harness.board.simulated import SimulatedLink

    link: Link
    if port is None:
        tell("building the simulator of the board (some minutes, once)")
        link = SimulatedLink(folder, description)
    else:
        link = SerialLink(port, description.baud)
    try:
        yield link
    finally:
        link.close()


def _upload(tell: Callable[[str], None]) -> Callable[[int, int], None]:
    def progress(done: int, whole: int) -> None:
        tell(f"uploading: {done:,} of {whole:,} bytes")

    return progress
