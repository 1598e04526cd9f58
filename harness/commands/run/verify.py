"""``dna verify``: a network, or layers of it, through the hardware, every value compared."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.common import PATH, check_writable, json_option, write_json
from harness.commands.modelled import clock_option, memory_option
from harness.commands.numbers import WORKERS
from harness.verify import INTERPRETER
from sim.memory.presets import IDEAL
from sim.rtl import registry
from sw.errors import DnaError

if TYPE_CHECKING:
    from harness.verify.single_layers import LayerRun, LayerTask
    from hw.config import DnaConfig
    from sim.memory.model import MemoryModel
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
        digits = all(text.isdecimal() and len(text) < 19 for text in (first, second))
        if not (colon and digits and int(first) < int(second)):
            self.fail(f"{value!r} is not a range of cycles A:B with 0 <= A < B", param, ctx)
        return int(first), int(second)


@click.command("verify", short_help="Run a network through the RTL and compare every value.")
@click.argument("artifact", type=PATH)
@click.option(
    "--layers",
    metavar="GLOB",
    help="Only these layers, each alone. Default: of a compiled artifact its whole program in "
    "one run, else all layers, each alone.",
)
@click.option(
    "--engine",
    type=click.Choice([*registry.names(), INTERPRETER]),
    default=registry.DEFAULT,
    show_default=True,
    help="The hardware in RTL: cxxrtl is compiled (once, which takes some minutes), pysim is "
    "Amaranth's own (slow). Or interpreter: the program without hardware, in seconds, no cycles.",
)
@click.option(
    "--image",
    "images",
    type=PATH,
    metavar="FILE",
    multiple=True,
    help="Photograph or .npy. Default: the first of `dna fetch`.",
)
@click.option(
    "--batch",
    is_flag=True,
    help="The program of several images (`dna compile --images`). It takes as many --image; if "
    "there are fewer, those again, each time turned by one more column.",
)
@click.option(
    "--config",
    "config_name",
    metavar="NAME",
    help="Configuration of the machine. Default: the one it was compiled for, else micro.",
)
@click.option(
    "--memory-seed",
    type=click.IntRange(min=0),
    metavar="N",
    help="A memory with random latency, bandwidth, order of answers and stalls, drawn from N.",
)
@memory_option
@clock_option
@click.option(
    "--workers",
    type=WORKERS,
    help="Processes that share single layers. Default: all CPUs.",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Dask scheduler whose workers share single layers instead, as tcp://host:8786. It is "
    "trusted with code (docs/simulation.md).",
)
@click.option("--waves", type=PATH, metavar="FILE", help="Write waves (VCD) of one run ...")
@click.option("--cycles", type=CycleRange(), help="... in these cycles, B excluded.")
@json_option
def command(
    artifact: Path,
    layers: str | None,
    engine: str,
    images: tuple[Path, ...],
    batch: bool,
    config_name: str | None,
    memory_seed: int | None,
    memory_name: str,
    clock_mhz: float | None,
    workers: int | None,
    scheduler: str | None,
    waves: Path | None,
    cycles: tuple[int, int] | None,
    json_file: Path | None,
) -> None:
    """Run ARTIFACT through the hardware in RTL and compare every value.

    A compiled artifact (`dna compile`) runs as it would on the chip: one program from start to
    interrupt on the whole machine, and the output of every layer is compared. Beside it an
    interpreter runs the program without hardware, in seconds; if it gives a wrong value, the
    program is wrong and the hardware does not go on. With --layers, or if it is not compiled,
    layers run each alone, in parallel: each is compiled by itself and takes its input from the
    functional model's run of the photograph; its output is compared with the functional model, and
    that with the reference. Exit code 0 means that values were compared and none differs; 1 that
    one does.

    \b
    Examples:
      dna verify micro.dna --json verified.json
      dna verify f200.dna --engine interpreter
      dna verify micro.dna --memory ddr4-2400x64 --clock 300
      dna verify f200.dna --batch --engine interpreter
      dna verify f200.dna --layers 'layer2*' --scheduler tcp://10.0.0.1:8786
    """  # noqa: D301 (click reads the escape)
    from sim.rtl.vcd import Waves
    from sw import artifact as artifacts

    if (waves is None) != (cycles is None):
        raise DnaError("--waves FILE and --cycles A:B go together")
    if waves is not None and scheduler is not None:
        raise DnaError("--waves writes on this computer; leave --scheduler out")
    check_writable(json_file)
    check_writable(waves)
    network = artifacts.load(artifact)
    if network.outdated_isa is not None and (layers is None or config_name is None):
        artifacts.program_of(network, artifact)
    config = _configuration(config_name, network)
    whole = network.program is not None and layers is None
    program = network.program
    if batch:
        if layers is not None:
            raise DnaError("--batch is a whole program; leave --layers out")
        program = artifacts.batch_of(network, artifact)
    if engine == INTERPRETER:
        if not whole:
            raise DnaError(_compile_first(artifact, config_name or config.name, network))
        if waves is not None or memory_seed is not None or memory_name != IDEAL:
            raise DnaError(
                "the interpreter has no cycles and no signals; leave --waves, --cycles, "
                "--memory and --memory-seed out"
            )
    if whole and (workers is not None or scheduler is not None):
        raise DnaError(
            "a whole program is one run; --workers and --scheduler share layers: say --layers '*'"
        )
    images = images or (_first_photograph(network),)
    count = program.images if program is not None else 1
    if len(images) > count and not (network.manifest.carries and whole):
        raise DnaError(f"{len(images)} images are too many: it computes {count} at a time")
    calls = _calls(network, images, count)
    memory = _memory(memory_seed, memory_name, clock_mhz)
    window = None if waves is None or cycles is None else Waves(waves, *cycles)
    repeat = ["dna", "verify", str(artifact), "--engine", engine]
    for image in images:
        repeat += ["--image", str(image)]
    if batch:
        repeat += ["--batch"]
    if config_name is not None:
        repeat += ["--config", config_name]
    if memory_name != IDEAL:
        repeat += ["--memory", memory_name]
    if clock_mhz is not None:
        repeat += ["--clock", f"{clock_mhz:g}"]
    if memory_seed is not None:
        repeat += ["--memory-seed", str(memory_seed)]
    named = {"image": ", ".join(map(str, images))}
    if program is not None and whole:
        from harness.verify.whole_program import verify_calls

        figures, passed = verify_calls(
            network.graph,
            program,
            calls,
            simulator=None if engine == INTERPRETER else engine,
            memory=memory,
            waves=window,
            repeat=repeat,
        )
        write_json(json_file, {**figures, **named})
        if not passed:
            raise SystemExit(MISMATCH)
        return
    from harness.verify.single_layers import tasks_of
    from sim.functional import FunctionalModel

    tasks = tasks_of(
        network.graph,
        FunctionalModel(network.graph).run_all(*calls[0]),
        layers or "*",
        config=config,
        simulator=engine,
        memory=memory,
        waves=window,
    )
    _verify_layers(tasks, images[0], workers, scheduler, repeat, json_file)


def _memory(seed: int | None, name: str, clock_mhz: float | None) -> MemoryModel:
    """The memory that was asked for; only one with a clock of its own needs the machine's."""
    from harness.hardware.timing.clock import ASSUMED_MHZ
    from sim.memory.model import MemoryModel

    if name == IDEAL and clock_mhz is not None:
        raise DnaError("--clock goes with --memory NAME: cycles are those of any clock without")
    if seed is None:
        return MemoryModel.named(name, clock_mhz or ASSUMED_MHZ)
    if name != IDEAL:
        raise DnaError("--memory-seed draws the memory; leave --memory out")
    return MemoryModel.random(seed)


def _verify_layers(
    tasks: list[LayerTask],
    image: Path,
    workers: int | None,
    scheduler: str | None,
    repeat: list[str],
    json_file: Path | None,
) -> None:
    """Run, print, write; what is done is kept whatever happens to the rest."""
    from harness.host.terminal import Console
    from harness.verify import single_layers

    errors = Console(stderr=True)
    config, simulator, memory = tasks[0].config, tasks[0].simulator, tasks[0].memory
    results: dict[int, LayerRun] = {}
    failure: DnaError | None = None
    interrupted = False
    started = time.perf_counter()
    try:
        single_layers.verify_layers(
            tasks, results, workers=workers, scheduler=scheduler, console=errors
        )
    except KeyboardInterrupt:
        interrupted = True
    except DnaError as error:
        failure = error
    runs = [results[index] for index in sorted(results)]
    figures = single_layers.figures(config, simulator, memory, runs)
    figures |= {
        "complete": len(runs) == len(tasks),
        "seconds": time.perf_counter() - started,
        "image": str(image),
    }
    if runs:
        single_layers.report(Console(), config, memory, runs, len(tasks), repeat)
    write_json(json_file, figures)
    if failure is not None:
        raise failure
    if interrupted:
        errors.print("interrupted; the layers above are done")
        raise SystemExit(INTERRUPTED)
    if not all(run.passed for run in runs):
        raise SystemExit(MISMATCH)


def _compile_first(artifact: Path, config: str, network: Artifact) -> str:
    """Why the interpreter does not run single layers, or a network without a program."""
    if network.program is not None:
        return "the interpreter runs the whole program in seconds; leave --layers out"
    words = ["dna", "compile", str(artifact), "--config", config, "-o", f"{Path(config).stem}.dna"]
    return f"the interpreter runs a compiled program; compile it first: `{shlex.join(words)}`"


def _configuration(name: str | None, network: Artifact) -> DnaConfig:
    """The configuration called ``name``, or the one that the artifact was compiled for."""
    from harness.hardware.configuration import configuration

    compiled = None if network.program is None else network.program.config
    if name is None:
        return compiled or configuration("micro")
    chosen = configuration(name)
    if compiled is not None and compiled.digest != chosen.digest:
        raise DnaError(
            f"the artifact was compiled for {compiled.name}; compile it for {name} with "
            f"`dna compile --config {name}`"
        )
    return chosen


def _first_photograph(network: Artifact) -> Path:
    from harness.data.fetch import photographs
    from harness.data.inputs import preprocessing_of

    preprocessing_of(network.manifest)  # photographs are no help to who takes arrays
    return photographs()[0][0]


def _calls(network: Artifact, images: tuple[Path, ...], count: int) -> list[Any]:
    """Of each call the network's input, int8, and its others by name.

    A call is one image or ``count`` images of which no two are equal: where there are fewer, they
    come again, each time turned by one more column. Of a network that carries maps from call to
    call the images are calls.
    """
    import numpy as np

    from harness.data.inputs import load_calls
    from sim.host import entered

    read = [call for image in images for call in load_calls(network.manifest, image)]
    given = [entered(network, pixels) for pixels, _ in read]
    if count == 1:
        return [(pixels, more) for pixels, (_, more) in zip(given, read, strict=True)]
    axis = min(1, given[0].ndim - 1)
    turned = [np.roll(given[n % len(given)], n // len(given), axis=axis) for n in range(count)]
    return [(np.stack(turned), {})]
