"""``dna explore``: many configurations for one network, and which of them nothing beats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.common import PATH, check_writable, json_option, write_json, write_text
from harness.commands.modelled import CLOCK_MHZ, memory_options
from sw.errors import DnaError

if TYPE_CHECKING:
    from rich.console import Console

    from harness.explore.evaluate import Task
    from harness.explore.results import Row
    from harness.explore.space import Candidate
    from harness.explore.state import State
    from sim.memory.model import MemoryModel
    from sw.artifact import Artifact

NOTHING_RUNS = 1
INTERRUPTED = 130
TABLE_WIDTH = 130
"""Columns that the table needs; a narrower terminal wraps its lines."""


class Numbers(click.ParamType[tuple[Any, ...]]):
    """Positive numbers with commas between them.

    Args:
        number: int or float.
    """

    name = "A,B,..."

    def __init__(self, number: type[int] | type[float]) -> None:
        self._number = number

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Any, ...]:
        """Parse and check them; one that is given twice counts once."""
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(dict.fromkeys(self._number(part) for part in value.split(",")))
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers, as 2,4,8", param, ctx)
        if not all(0 < number < float("inf") for number in numbers):
            self.fail(f"{value!r} has a number that is not positive", param, ctx)
        return numbers


@click.command("explore", short_help="Sweep configurations: modelled latency against area.")
@click.argument("artifact", type=PATH)
@click.option(
    "--config",
    "base",
    default="f200",
    show_default=True,
    metavar="NAME",
    help="Where what is not varied comes from: lanes and DRAM in proportion to the arrays, "
    "memories of the same size.",
)
@click.option("--modules", type=Numbers(int), help="Convolution modules.")
@click.option("--array", type=Numbers(int), help="Rows, and columns, of a module's array.")
@click.option("--lanes", type=Numbers(int), help="Channels that post-processing takes per cycle.")
@click.option("--depth", type=Numbers(int), help="Pixels of an accumulation tile.")
@click.option("--feature", type=Numbers(int), help="KiB of feature memory.")
@click.option("--fifo", type=Numbers(int), help="KiB of the weight FIFO.")
@click.option("--dram", type=Numbers(int), help="Bytes of DRAM per cycle.")
@click.option(
    "--configs",
    "configs_file",
    type=PATH,
    metavar="FILE",
    help="Instead: a JSON list of objects with the parameters of a machine each.",
)
@click.option(
    "--clock",
    "clocks",
    type=Numbers(float),
    default=(CLOCK_MHZ,),
    show_default=f"{CLOCK_MHZ:g}",
    help="MHz. Assumed, whatever the configuration.",
)
@memory_options
@click.option("--workers", type=click.IntRange(min=1), help="Processes here. Default: all CPUs.")
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Instead: the Dask cluster of this scheduler. Its workers need this version of the "
    "program, and ARTIFACT at the same path.",
)
@click.option(
    "--state",
    "state_file",
    type=PATH,
    metavar="FILE",
    help="Keeps what was found, as it is found. Default: ARTIFACT.explore.jsonl.",
)
@click.option("--picture", "picture_file", type=PATH, metavar="FILE", help="Write an SVG.")
@json_option
def command(
    artifact: Path,
    base: str,
    configs_file: Path | None,
    clocks: tuple[float, ...],
    memory: MemoryModel,
    workers: int | None,
    scheduler: str | None,
    state_file: Path | None,
    picture_file: Path | None,
    json_file: Path | None,
    **choices: tuple[int, ...] | None,
) -> None:
    """Compile ARTIFACT for many configurations and model each.

    Options with lists are combined in all ways. A configuration that makes no machine, or that the
    compiler refuses, becomes a row with the reason. The Pareto front is of latency (modelled) and
    area (estimated). Whatever ends the command, what it had found is in the state file, and the
    same command goes on from there.

    \b
    Example:
      dna explore resnet50.dna --modules 2,4,8 --array 16,32 --dram 64,128 --picture pareto.svg
    """  # noqa: D301 (click reads the escape)
    from rich.console import Console

    from harness.explore.evaluate import Task, model_digest, network_digest
    from harness.explore.picture import picture
    from harness.explore.results import Row, ranked, row
    from harness.explore.state import State
    from sw import artifact as artifacts

    candidates = _candidates(base, configs_file, choices)
    state_file = state_file or artifact.with_name(f"{artifact.name}.explore.jsonl")
    for path in (state_file, picture_file, json_file):
        check_writable(path)
    network = artifacts.load(artifact)
    digest = network_digest(network)
    tasks = {
        candidate.config.digest: Task(
            artifact.absolute(), digest, model_digest(), candidate.config, memory
        )
        for candidate in candidates
        if candidate.config is not None
    }
    state = State(state_file)
    errors = Console(stderr=True, soft_wrap=True)
    _run(list(tasks.values()), state, workers, scheduler, errors, state_file)

    rows: list[Row] = []
    for candidate in candidates:
        for clock in clocks:
            if candidate.config is None:
                rows.append(
                    Row(
                        name=candidate.name,
                        parameters=None,
                        clock_mhz=clock,
                        refused=candidate.refused,
                    )
                )
                continue
            outcome = state.get(tasks[candidate.config.digest])
            assert outcome is not None
            rows.append(row(candidate.config, outcome, clock))
    rows = ranked(rows)
    runs = [row for row in rows if row.refused is None]
    console = Console(soft_wrap=True)
    console.width = max(console.width, TABLE_WIDTH)
    _print(console, rows, network, memory)
    write_json(json_file, _figures(rows, network, memory))
    if not runs:
        errors.print("[bold red]error:[/] none of the configurations runs this network")
        raise SystemExit(NOTHING_RUNS)
    if picture_file is not None:
        assumed = " or ".join(f"{clock:g}" for clock in clocks)
        title = f"{network.manifest.model}: {len(runs)} machines, modelled at {assumed} MHz"
        write_text(picture_file, picture(rows, title))


def _candidates(
    base: str, configs_file: Path | None, choices: dict[str, tuple[int, ...] | None]
) -> list[Candidate]:
    from harness.configuration import configuration
    from harness.explore import space

    chosen = {name: values for name, values in choices.items() if values}
    if configs_file is None:
        return space.product(configuration(base), chosen)
    if chosen:
        raise DnaError(f"--configs names the machines; leave out --{next(iter(chosen))}")
    return space.read(configs_file)


def _run(
    tasks: list[Task],
    state: State,
    workers: int | None,
    scheduler: str | None,
    console: Console,
    state_file: Path,
) -> None:
    """Evaluate the tasks whose outcome is not known yet, under a bar."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from harness.explore.evaluate import Outcome, evaluate
    from harness.host.workers import run_tasks

    todo = [task for task in tasks if state.get(task) is None]
    known = len(tasks) - len(todo)
    if known:
        console.print(f"{known} of {len(tasks)} configurations were in {state_file}")
    if not todo:
        return
    with Progress(
        "exploring",
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as progress:
        bar = progress.add_task("", total=len(todo))

        def done(index: int, outcome: Outcome) -> None:
            state.add(todo[index], outcome)
            progress.advance(bar)

        try:
            run_tasks(evaluate, todo, workers=workers, scheduler=scheduler, done=done)
        except KeyboardInterrupt:
            progress.stop()
            found = sum(state.get(task) is not None for task in tasks)
            console.print(
                f"interrupted; {found} of {len(tasks)} configurations are in {state_file}, and the "
                "same command goes on"
            )
            raise SystemExit(INTERRUPTED) from None


def _figures(rows: list[Row], network: Artifact, memory: MemoryModel) -> dict[str, Any]:
    import msgspec

    return {
        "modelled": True,
        "model": network.manifest.model,
        "memory": {"latency_cycles": memory.latency, "words_per_cycle": memory.bandwidth},
        "rows": msgspec.to_builtins(rows),
        "front": [row.name for row in rows if row.front],
    }


def _print(console: Console, rows: list[Row], network: Artifact, memory: MemoryModel) -> None:
    from rich.box import SIMPLE
    from rich.markup import escape
    from rich.table import Table

    from harness.hardware.area import DEVICE

    table = Table(
        title=f"{network.manifest.model}: latency modelled (memory latency {memory.latency} "
        f"cycles, {memory.bandwidth:g} of the DRAM port), area estimated; * is on the Pareto front",
        title_justify="left",
        box=SIMPLE,
        padding=(0, 1, 0, 0),
    )
    table.add_column("", no_wrap=True)
    table.add_column("configuration", no_wrap=True)
    columns = ("MACs", "lanes", "DRAM B", "KiB", "MHz", "cycles", "ms", "images/s", "used", "GB/s")
    for name in (*columns, "k LUTs", "DSP", f"of {DEVICE}"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        config, area = row.parameters, row.area
        if config is None or area is None:
            continue
        table.add_row(
            "*" if row.front else "",
            escape(row.name),
            f"{config.macs:,}",
            str(config.lanes),
            str(config.dram_bytes_per_cycle),
            f"{config.feature_words * config.rows / 1024:,.0f}",
            f"{row.clock_mhz:g}",
            f"{row.cycles:,}",
            f"{row.latency_ms:.3f}",
            f"{row.throughput_per_s:,.1f}",
            f"{row.utilization:.1%}",
            f"{row.dram_gb_per_s:.1f}",
            f"{row.luts / 1e3:,.0f}",
            f"{area.total.dsp:,.0f}",
            f"{max(area.shares.values()):.0%}",
            style="bold" if row.front else None,
        )
    console.print(table)
    for name, reason in dict.fromkeys((row.name, row.refused) for row in rows if row.refused):
        console.print(f"refused: {name}: {reason}", markup=False, highlight=False)
