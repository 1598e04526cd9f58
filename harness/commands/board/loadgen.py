"""``dna board loadgen``: MLPerf's LoadGen with a board as the system under test."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from harness.commands.board.options import check_one, port_option, simulated_option, soc_option
from harness.commands.common import PATH, check_writable, json_option, write_json
from harness.commands.loadgen_options import loadgen_options
from sw.errors import DnaError

if TYPE_CHECKING:
    from harness.loadgen.configuration.settings import Scenario

INVALID = 1
SCENARIO: Scenario = "SingleStream"


@click.command("loadgen", short_help="Run MLPerf's SingleStream with the board in the loop.")
@click.argument("artifact", type=PATH)
@soc_option
@port_option
@simulated_option
@click.option("--accuracy", is_flag=True, help="Every photograph once, and how many are right.")
@loadgen_options
@json_option
def command(
    artifact: Path,
    folder: Path,
    port: str | None,
    simulated: bool,
    accuracy: bool,
    data_dir: Path | None,
    count: int | None,
    user_conf: Path | None,
    min_duration: float | None,
    samples: int | None,
    output: Path | None,
    json_file: Path | None,
) -> None:
    """Run an MLPerf test of ARTIFACT, compiled for the SoC's configuration, on the board.

    Every answer is the board's. A query's time is what LoadGen measures here: the image over the
    serial port, the machine, the answer back. Beside it stands what the machine's own counter says.
    With --accuracy every output is also compared with the functional model's.

    Exit code 0 means that LoadGen calls the run VALID or, with --accuracy, that every photograph
    was answered and no output differs; 1 that it is not so. On a simulated board LoadGen times the
    simulator.

    \b
    Examples:
      dna board loadgen resnet50.ulx3s --soc build/ulx3s --port /dev/ttyUSB0
      dna board loadgen resnet50.ulx3s --soc build/ulx3s --simulated --accuracy --count 3
    """  # noqa: D301 (click reads the escape)
    from harness.board.opened import check, opened
    from harness.board.under_test import BoardTask
    from harness.data import fetch
    from harness.data.datasets import Dataset
    from harness.host.terminal import Console
    from harness.loadgen import session
    from harness.loadgen.configuration import settings
    from harness.loadgen.results import outcome
    from harness.loadgen.systems import photographs, runner
    from harness.loadgen.systems.tasks import Classes
    from sim.functional import FunctionalModel
    from sw.artifact import load

    check_writable(json_file)
    check_one(port, simulated)
    network = load(artifact)
    if network.manifest.host.parts:
        raise DnaError(f"{artifact} has a part that the host runs: it is no board's answer alone")
    check(network, artifact)
    data = Dataset(fetch.data_dir(data_dir))
    task = Classes(network, photographs.choose(network.manifest, data, count, accuracy))
    test = settings.build(
        SCENARIO,
        accuracy=accuracy,
        photographs=len(task.paths),
        user_conf=user_conf,
        min_duration=min_duration,
        samples=samples,
    )
    with contextlib.ExitStack() as ends:
        with Console(stderr=True).status("") as status:
            board = ends.enter_context(opened(network, artifact, folder, port, status.update))
        functional = FunctionalModel(network.graph) if accuracy else None
        on_board = BoardTask(task, board, functional)
        asked = session.Session(
            network=network,
            path=artifact,
            task=on_board,
            scenario=SCENARIO,
            accuracy=accuracy,
            settings=test,
            audit=Path(runner.AUDIT_CONFIG),
            threads=1,
            machine=None,
            scheduler=None,
            timing=str(board),
        )
        logs = ends.enter_context(runner.new_folder(output, SCENARIO, accuracy))
        score, _ = session.run(asked, logs)
    outcome.show(score, None, None, logs, network.manifest, None)
    counted = on_board.counted(score.images)
    console = Console()
    console.print(f"Timing: {board}.")
    console.print(f"The machine's own counter: {counted}.")
    if functional is not None:
        console.print(
            f"{on_board.values:,} values, {on_board.differing:,} differ from the functional model."
        )
    figures = outcome.figures(
        score,
        None,
        None,
        logs,
        artifact=artifact,
        manifest=network.manifest,
        benchmark=task.benchmark,
        threads=1,
        host=None,
    )
    figures |= {
        "timing": "board",
        **board.figures(),
        "counter": msgspec.to_builtins(counted),
        "values": on_board.values,
        "differ": on_board.differing,
    }
    write_json(json_file, figures)
    good = score.valid and not on_board.differing
    click.get_current_context().exit(0 if good else INVALID)
