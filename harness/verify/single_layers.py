"""``dna verify`` of single layers: each alone on the whole machine, compiled for it by itself.

A layer takes its input (and the other operand of an addition) from the functional model's run of
the photograph, so layers do not depend on each other and run in parallel, on this computer or on
others. What it writes is compared with the functional model, and that with the reference.
"""

from __future__ import annotations

import dataclasses
import difflib
import fnmatch
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hw.config import DnaConfig
from sim.memory.model import MemoryModel
from sim.rtl.vcd import Waves
from sim.verify.results import Mismatch
from sw.errors import DnaError
from sw.graph import Graph

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from harness.host.terminal import Console

    Int8 = npt.NDArray[np.int8]


@dataclasses.dataclass(frozen=True)
class LayerTask:
    """One layer to run.

    Attributes:
        name: of the layer.
        part: its operations.
        tensors: its operands and results by the functional model.
        config, simulator, memory, waves: as for :func:`sim.rtl.registry.open_simulator`.
    """

    name: str
    part: Graph
    tensors: Mapping[str, Int8]
    config: DnaConfig
    simulator: str
    memory: MemoryModel
    waves: Waves | None

    def __str__(self) -> str:
        return self.name

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return sum(self.part.macs(operation) for operation in self.part.operations)


@dataclasses.dataclass(frozen=True)
class LayerRun:
    """How one layer went.

    Attributes:
        name, shape: of the layer and its output (height, width, channels).
        values: values compared.
        mismatches: values of the hardware that differ from the functional model's, in its feature
            memory or in the memory outside.
        reference_mismatches: values of the functional model that differ from the reference's.
        cycles: from start to interrupt: the input comes from memory, the output goes there.
        macs: multiply-accumulates.
        seconds: that it took.
        first: the mismatch that came first.
        error: why the machine stopped.
    """

    name: str
    shape: tuple[int, ...]
    values: int
    mismatches: int
    reference_mismatches: int
    cycles: int
    macs: int
    seconds: float
    first: Mismatch | None = None
    error: str | None = None

    @property
    def passed(self) -> bool:
        """Whether values were compared and none differs."""
        return (
            self.values > 0
            and self.mismatches == self.reference_mismatches == 0
            and self.error is None
        )


def tasks_of(
    graph: Graph,
    tensors: Mapping[str, Int8],
    pattern: str,
    *,
    config: DnaConfig,
    simulator: str,
    memory: MemoryModel,
    waves: Waves | None = None,
) -> list[LayerTask]:
    """The layers that match a glob by their name or that of one of their operations, in order.

    Args:
        graph: the whole network.
        tensors: all its tensors by the functional model.
        pattern: the glob.
        waves: of the layer, if it is only one.

    Raises:
        DnaError: none matches (the message gives near names), or several and there are to be waves,
            or ``graph`` has something that the machine cannot do.
    """
    from sw.compiler.lowering import lower

    layers = lower(graph, config)
    chosen = [
        layer
        for layer in layers
        if any(fnmatch.fnmatchcase(name, pattern) for name in (layer.name, *layer.operations))
    ]
    if not chosen:
        names = [name for layer in layers for name in layer.operations]
        near = difflib.get_close_matches(pattern.strip("*"), names, cutoff=0.3) or names[:3]
        raise DnaError(
            f"no layer matches {pattern!r}; there are {len(layers)}, for example {', '.join(near)}"
        )
    if waves is not None and len(chosen) > 1:
        raise DnaError(f"--waves needs one layer, but --layers {pattern!r} matches {len(chosen)}")
    tasks = []
    for layer in chosen:
        part = graph.part(layer.operations)
        needed = {name: tensors[name] for name in part.tensors}
        tasks.append(LayerTask(layer.name, part, needed, config, simulator, memory, waves))
    return tasks


def run_layer(task: LayerTask) -> LayerRun:
    """Compile one layer by itself, run it on the whole machine, compare every value.

    Raises:
        DnaError: it cannot be compiled, or what the engine needs is missing.
    """
    import numpy as np

    from sim.driver import MachineError
    from sim.reference import run_operation
    from sim.rtl.registry import open_simulator
    from sim.verify.rtl import verify_program
    from sw.compiler import compile_graph

    started = time.perf_counter()
    part, tensors = task.part, task.tensors
    program = compile_graph(part, task.config)
    reference = {name: tensors[name] for name in part.sources}
    for operation in part.operations:
        inputs = [reference[name] for name in operation.inputs]
        reference[operation.output] = run_operation(part, operation, inputs)
    differ = int(np.count_nonzero(reference[part.output] != tensors[part.output]))
    layer = program.layers[0]
    try:
        with open_simulator(
            task.config,
            task.simulator,
            size=program.memory.size,
            memory=task.memory,
            record_writes=True,
            waves=task.waves,
        ) as machine:
            result = verify_program(machine, program, tensors[part.input], tensors)
    except MachineError as error:
        seconds = time.perf_counter() - started
        return LayerRun(
            task.name, layer.shape, 0, 0, differ, 0, task.macs, seconds, error=str(error)
        )
    return LayerRun(
        name=task.name,
        shape=layer.shape,
        values=result.values,
        mismatches=result.mismatches,
        reference_mismatches=differ,
        cycles=result.cycles,
        macs=result.macs,
        seconds=time.perf_counter() - started,
        first=result.layers[0].first,
    )


def verify_layers(
    tasks: Sequence[LayerTask],
    results: dict[int, LayerRun],
    *,
    workers: int | None,
    scheduler: str | None,
    console: Console,
) -> None:
    """Run ``tasks``, the largest first, under a bar that counts multiply-accumulates.

    Args:
        results: where each goes as soon as it is there, by the index of its task: what is done
            survives an exception.
        workers, scheduler: as for :func:`harness.host.workers.run_tasks`.

    Raises:
        DnaError: as :func:`run_layer` and :func:`harness.host.workers.run_tasks`.
    """
    from harness.host.terminal import measured
    from harness.host.workers import run_tasks
    from sim.rtl.registry import open_simulator

    if scheduler is None:
        with console.status(
            "preparing the machine (the first time this compiles for some minutes) ..."
        ):
            open_simulator(tasks[0].config, tasks[0].simulator, size=1).close()
    order = sorted(range(len(tasks)), key=lambda index: -tasks[index].macs)
    # A layer without multiplications counts a little too, or the bar would never move.
    total = sum(1 + task.macs for task in tasks)
    with measured(console, "verifying", total) as reached:

        def done(position: int, run: LayerRun) -> None:
            results[order[position]] = run
            reached(sum(1 + result.macs for result in results.values()))

        run_tasks(
            run_layer,
            [tasks[index] for index in order],
            workers=workers,
            scheduler=scheduler,
            done=done,
        )


def figures(
    config: DnaConfig, simulator: str, memory: MemoryModel, runs: Sequence[LayerRun]
) -> dict[str, Any]:
    """The figures for JSON; ``complete`` is for the caller to add."""
    totals = {
        key: sum(getattr(run, key) for run in runs)
        for key in ("values", "mismatches", "reference_mismatches", "cycles")
    }
    macs = sum(run.macs for run in runs if run.error is None)
    return {
        "config": config.name,
        "engine": simulator,
        **totals,
        "macs": macs,
        "utilization": macs / (config.macs * totals["cycles"]) if totals["cycles"] else 0.0,
        "memory": memory.figures(config.dram_bytes_per_cycle),
        "layers": [dataclasses.asdict(run) for run in runs],
    }


def report(
    console: Console,
    config: DnaConfig,
    memory: MemoryModel,
    runs: Sequence[LayerRun],
    wanted: int,
    repeat: Sequence[str],
) -> None:
    """Print the table, the sums, and what went wrong.

    Args:
        wanted: layers that were to run.
        repeat: the words of a command that runs the same again, but for ``--layers``.
    """
    from harness.verify.tables import explanation, layer_table

    console.print(layer_table(config, "each layer alone", runs))
    sums = figures(config, "", memory, runs)
    console.print(
        f"{len(runs)} of {wanted} layers, {sums['values']:,} values compared, "
        f"{sums['mismatches']:,} differ; {sums['cycles']:,} cycles, MAC utilization "
        f"{sums['utilization']:.1%}; {memory.text(config.dram_bytes_per_cycle)}"
    )
    for run in runs:
        lines = []
        if run.error is not None:
            lines.append(f"{run.name}: {run.error}")
        if run.reference_mismatches:
            lines.append(
                f"{run.name}: {run.reference_mismatches:,} values of the functional model differ "
                "from the reference"
            )
        if run.first is not None:
            lines.append(explanation(run, [*repeat, "--layers", run.name]))
        elif run.mismatches:
            lines.append(f"{run.name}: {run.mismatches:,} values in memory differ")
        for line in lines:
            console.print(line)
