"""``dna verify``: layers of a network through the hardware, every value compared."""

from __future__ import annotations

import dataclasses
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from harness.commands.common import PATH, check_writable, json_option, write_json
from sw.errors import DnaError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hw.config import DnaConfig
    from sim.streams import Layer
    from sim.verify import LayerResult
    from sw.artifact import Artifact

MISMATCH = 1
INTERRUPTED = 130


class CycleRange(click.ParamType[tuple[int, int]]):
    """``A:B``, cycles from A (inclusive) to B (exclusive)."""

    name = "A:B"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Parse and check the two numbers."""
        if isinstance(value, tuple):
            return value
        first, colon, second = value.partition(":")
        if not (colon and first.isdecimal() and second.isdecimal() and int(first) < int(second)):
            self.fail(f"{value!r} is not a range of cycles A:B with 0 <= A < B", param, ctx)
        return int(first), int(second)


@click.command("verify", short_help="Run layers through the RTL and compare every value.")
@click.argument("artifact", type=PATH)
@click.option(
    "--layers",
    metavar="GLOB",
    help="Only these layers, each by itself. Default: of a compiled artifact its whole program in "
    "one run, else all layers.",
)
@click.option(
    "--engine",
    type=click.Choice(["cxxrtl", "pysim"]),
    default="cxxrtl",
    show_default=True,
    help="Compiled (once, which takes a minute or two), or Amaranth's own simulator (slow).",
)
@click.option(
    "--image", type=PATH, metavar="FILE", help="Photograph. Default: the first of `dna fetch`."
)
@click.option(
    "--config",
    "config_name",
    metavar="NAME",
    help="Configuration of the machine. Default: the one it was compiled for, else small.",
)
@click.option("--jobs", type=click.IntRange(min=1), help="Processes. Default: all CPUs.")
@click.option("--waves", type=PATH, metavar="FILE", help="Write waves (VCD) of one layer ...")
@click.option("--cycles", type=CycleRange(), help="... in these cycles, B excluded.")
@json_option
def command(
    artifact: Path,
    layers: str | None,
    engine: Literal["cxxrtl", "pysim"],
    image: Path | None,
    config_name: str | None,
    jobs: int | None,
    waves: Path | None,
    cycles: tuple[int, int] | None,
    json_file: Path | None,
) -> None:
    """Run ARTIFACT through the hardware in RTL and compare every value.

    A compiled artifact (`dna compile`) runs as it would on the chip: one program from start to
    interrupt on the whole machine, and the output of every layer is compared. Otherwise, and with
    --layers, convolution and classifier layers go one by one through one convolution module, each
    with its input from the functional model's run of the photograph. Exit code 0 means that values
    were compared and none differs; 1 that one does.

    \b
    Examples:
      dna verify micro.dna --json verified.json
      dna verify resnet50.dna --layers 'layer2*' --config small
    """  # noqa: D301 (click reads the escape)
    from rich.console import Console

    from harness import machine
    from sim.verify import choose, layers_of
    from sw import artifact as artifacts

    if (waves is None) != (cycles is None):
        raise DnaError("--waves FILE and --cycles A:B go together")
    check_writable(json_file)
    check_writable(waves)
    network = artifacts.load(artifact)
    config = _configuration(config_name, network)
    image = image or _first_photograph()
    if network.program is not None and layers is None:
        _verify_whole(network, artifact, image, engine, waves, cycles, json_file)
        return
    layers = layers or "*"
    operations = choose(network.graph, layers)
    if waves is not None and len(operations) > 1:
        raise DnaError(
            f"--waves needs one layer, but --layers {layers!r} matches {len(operations)}"
        )
    chosen = layers_of(network.graph, operations, _tensors(network, image))
    errors = Console(stderr=True)
    with errors.status(
        "preparing the hardware (the first time this compiles for a minute or two) ..."
    ):
        _prepare(engine, config)

    started = time.perf_counter()
    results: list[LayerResult] = []
    failure: DnaError | None = None
    interrupted = False
    try:
        running = (
            _with_waves(engine, config, chosen[0], waves, cycles, errors)
            if waves is not None and cycles is not None
            else _in_parallel(engine, config, chosen, jobs or machine.cpus(), errors)
        )
        for result in running:
            results.append(result)
    except KeyboardInterrupt:
        interrupted = True
    except DnaError as error:
        failure = error

    order = {layer.name: n for n, layer in enumerate(chosen)}
    results.sort(key=lambda result: order[result.name])
    complete = len(results) == len(chosen)
    figures = _figures(config, engine, results, complete, time.perf_counter() - started)
    figures["image"] = str(image)
    _report(Console(), config, results, len(chosen))
    for result in results:
        _explain(Console(soft_wrap=True, highlight=False), result, artifact, image, config, engine)
    write_json(json_file, figures)
    if failure is not None:
        raise failure
    if interrupted:
        errors.print("interrupted; the layers above are done")
        raise SystemExit(INTERRUPTED)
    if not complete or not all(result.passed for result in results):
        raise SystemExit(MISMATCH)


def _configuration(name: str | None, network: Artifact) -> DnaConfig:
    """The configuration called ``name``, or the one that the artifact was compiled for."""
    from harness.configuration import configuration

    compiled = None if network.program is None else network.program.config
    if name is None:
        return compiled or configuration("small")
    chosen = configuration(name)
    if compiled is not None and compiled.digest != chosen.digest:
        raise DnaError(
            f"the artifact was compiled for {compiled.name}; compile it for {name} with "
            f"`dna compile --config {name}`"
        )
    return chosen


def _verify_whole(
    network: Artifact,
    path: Path,
    image: Path,
    engine: Literal["cxxrtl", "pysim"],
    waves: Path | None,
    cycles: tuple[int, int] | None,
    json_file: Path | None,
) -> None:
    from harness.whole_program import verify_whole
    from sim.rtl.vcd import Waves

    window = None if waves is None or cycles is None else Waves(waves, *cycles)
    figures, passed = verify_whole(network, path, image, _pixels(network, image), engine, window)
    write_json(json_file, figures)
    if not passed:
        raise SystemExit(MISMATCH)


def _first_photograph() -> Path:
    from harness.fetch import photographs

    return photographs()[0][0]


def _pixels(network: Artifact, image: Path) -> Any:
    """The network's input, int8."""
    from harness.preprocess import check_input, load_image
    from sim.runtime import quantize

    check_input(network.manifest)
    return quantize(load_image(image, network.manifest.preprocessing), network.manifest.input)


def _tensors(network: Artifact, image: Path) -> dict[str, Any]:
    from sim.functional import FunctionalModel

    return FunctionalModel(network.graph).run_all(_pixels(network, image))


def _prepare(engine: Literal["cxxrtl", "pysim"], config: DnaConfig) -> None:
    if engine == "cxxrtl":
        from sim.verify import open_path

        open_path(engine, config)


def _with_waves(
    engine: Literal["cxxrtl", "pysim"],
    config: DnaConfig,
    layer: Layer,
    waves: Path,
    cycles: tuple[int, int],
    console: Any,
) -> Iterator[LayerResult]:
    from sim.rtl.vcd import Waves
    from sim.verify import open_path, verify_layer

    with console.status("recording waves (the first time this compiles for minutes) ..."):
        yield verify_layer(open_path(engine, config), config, layer, Waves(waves, *cycles))


def _in_parallel(
    engine: Literal["cxxrtl", "pysim"],
    config: DnaConfig,
    layers: list[Layer],
    jobs: int,
    console: Any,
) -> Iterator[LayerResult]:
    """The results as they come, under a bar that counts multiply-accumulates."""
    from contextlib import closing

    from rich.progress import Progress

    from sim.verify import verify_layers

    macs = {layer.name: layer.macs for layer in layers}
    with (
        Progress(console=console, transient=True) as progress,
        closing(verify_layers(engine, config, layers, jobs)) as running,
    ):
        task = progress.add_task("verifying", total=sum(macs.values()))
        for result in running:
            progress.advance(task, macs[result.name])
            yield result


def _utilization(config: DnaConfig, results: list[LayerResult]) -> float:
    cycles = sum(result.cycles for result in results)
    macs = sum(result.macs for result in results if result.error is None)
    return macs / (config.rows * config.columns * cycles) if cycles else 0.0


def _figures(
    config: DnaConfig, engine: str, results: list[LayerResult], complete: bool, seconds: float
) -> dict[str, Any]:
    totals = {
        key: sum(getattr(result, key) for result in results)
        for key in ("values", "mismatches", "cycles", "macs")
    }
    return {
        "config": config.name,
        "engine": engine,
        "complete": complete,
        **totals,
        "seconds": seconds,
        "utilization": _utilization(config, results),
        "layers": [dataclasses.asdict(result) for result in results],
    }


def _report(console: Any, config: DnaConfig, results: list[LayerResult], wanted: int) -> None:
    from rich import box
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        title=f"{config.name}: one convolution module of {config.rows} x {config.columns}",
    )
    table.add_column("layer", no_wrap=True)
    for heading in ("output", "values", "differ", "cycles", "used", "s"):
        table.add_column(heading, justify="right", no_wrap=True)
    for result in results:
        table.add_row(
            result.name,
            "x".join(map(str, result.shape)),
            f"{result.values:,}",
            f"[bold red]{result.mismatches:,}[/]" if result.mismatches else "0",
            f"{result.cycles:,}",
            f"{result.utilization:.1%}",
            f"{result.seconds:.1f}",
        )
    console.print(table)
    values = sum(result.values for result in results)
    mismatches = sum(result.mismatches for result in results)
    cycles = sum(result.cycles for result in results)
    console.print(
        f"{len(results)} of {wanted} layers, {values:,} values compared, {mismatches:,} differ, "
        f"{cycles:,} cycles, utilization {_utilization(config, results):.1%}",
        soft_wrap=True,
        highlight=False,
    )


def _explain(
    console: Any,
    result: LayerResult,
    artifact: Path,
    image: Path,
    config: DnaConfig,
    engine: str,
) -> None:
    """Say what went wrong in a layer, and the command that shows it."""
    if result.error is not None:
        console.print(f"{result.name}: {result.error}", markup=False)
    if result.first is None:
        return
    first = result.first
    again = [
        *("dna", "verify", str(artifact), "--layers", result.name, "--image", str(image)),
        *("--config", config.name, "--engine", engine, "--waves", f"{result.name}.vcd"),
        *("--cycles", f"{first.window[0]}:{first.window[1]}"),
    ]
    console.print(
        f"{result.name}: {result.mismatches:,} of {result.values:,} values differ; the first, at "
        f"(y, x, channel) {first.where}: expected {first.expected}, got {first.got}, "
        f"in cycle {first.cycle:,}\n  waves: {shlex.join(again)}",
        markup=False,
    )
