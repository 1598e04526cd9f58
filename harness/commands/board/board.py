"""``dna board``: a machine on a board at a serial port, or its simulation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.commands.board.loadgen import command as loadgen
from harness.commands.board.options import check_one, port_option, simulated_option, soc_option
from harness.commands.common import PATH, check_writable, json_option, write_json

DIFFERS = 1


@click.group("board", short_help="Run networks on a board.")
def command() -> None:
    """Run compiled networks on a board that holds the bitstream of `dna soc`.

    \b
    Examples:
      dna board run resnet50.ulx3s cat.jpg --soc build/ulx3s --port /dev/ttyUSB0
      dna board loadgen resnet50.ulx3s --soc build/ulx3s --port /dev/ttyUSB0
    """  # noqa: D301 (click reads the escape)


command.add_command(loadgen)


@command.command("run", short_help="Run images, and hold the answers to the functional model.")
@click.argument("artifact", type=PATH)
@click.argument("images", type=PATH, nargs=-1, required=True, metavar="IMAGE...")
@soc_option
@port_option
@simulated_option
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
      dna board run resnet50.ulx3s cat.jpg --soc build/ulx3s --port /dev/ttyUSB0
    """  # noqa: D301 (click reads the escape)
    from harness.board.opened import check, opened
    from harness.data.inputs import load_input
    from harness.host.terminal import Console
    from sim.functional import FunctionalModel
    from sw.artifact import load

    check_writable(json_file)
    check_one(port, simulated)
    network = load(artifact)
    check(network, artifact)
    # Whatever is wrong with an image is said before an upload of minutes.
    inputs = [(path, load_input(network.manifest, path)) for path in images]
    console, results, differ = Console(), [], 0
    with (
        Console(stderr=True).status("") as status,
        opened(network, artifact, folder, port, status.update) as board,
    ):
        model = FunctionalModel(network.graph)
        for path, pixels in inputs:
            status.update(f"running {path}")
            found = board.driver.run(pixels)
            wrong = int((found.ravel() != model.outputs(pixels)[0].ravel()).sum())
            differ += wrong
            cycles = board.driver.cycles
            milliseconds = board.milliseconds(cycles)
            console.print(
                f"{path}: {found.size:,} values, {wrong} differ from the functional model; "
                f"{cycles:,} cycles, {milliseconds:.3f} ms at {board.clock}"
            )
            results.append(_result(path, found.size, wrong, cycles, milliseconds))
    write_json(json_file, {**board.figures(), "images": results})
    click.get_current_context().exit(DIFFERS if differ else 0)


def _result(path: Path, values: int, differ: int, cycles: int, ms: float) -> dict[str, Any]:
    return {"file": str(path), "values": values, "differ": differ, "cycles": cycles, "ms": ms}
