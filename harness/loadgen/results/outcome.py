"""What a finished test shows: a table on the terminal, figures for JSON."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from pathlib import Path
from typing import Any

import msgspec

from harness.data import guessing
from harness.host import computer
from harness.host.terminal import Console, Table
from harness.loadgen.configuration.benchmarks import Benchmark
from harness.loadgen.machine import ModelledMachine
from harness.loadgen.results.pace import TOLERANCE, Pace
from harness.loadgen.results.score import Score
from sim.host import HostTime
from sw import classes
from sw.artifact import Manifest


def remarks(score: Score, manifest: Manifest) -> list[str]:
    """What must be known of the answers: the class offset, or that they are those of guessing."""
    if score.top1 is None:
        return []
    logits, offset = len(manifest.class_names), manifest.class_offset
    right = round(score.top1 * score.images)
    said = (
        classes.remark(logits, offset),
        guessing.remark(right, score.images, logits - (offset or 0)),
    )
    return [line for line in said if line is not None]


def show(
    score: Score,
    machine: ModelledMachine | None,
    pace: Pace | None,
    folder: Path,
    manifest: Manifest,
    host: HostTime | None,
) -> None:
    """Print a test's outcome to stdout.

    Args:
        score: the outcome.
        machine: whose speed was modelled, if one was.
        pace: how well the run kept to it, if it was a performance run.
        folder: of LoadGen's logs.
        manifest: of the artifact that was tested.
        host: what the host runs of it beside the machine, measured.
    """
    title = f"LoadGen {score.scenario}, {score.mode}"
    table = Table(title=f"{title}, modelled" if machine else title)
    if score.mode == "accuracy":
        table.add_row("complete", "yes" if score.valid else "NO")
    else:
        table.add_row("result", "VALID" if score.valid else "INVALID")
    decimals = 4 if machine else 2
    for name, value, unit in (
        ("90th percentile latency", score.p90_ms, "ms"),
        ("99th percentile latency", score.p99_ms, "ms"),
        ("mean latency", score.mean_ms, "ms"),
        ("samples per second", score.qps, ""),
        ("top-1", None if score.top1 is None else 100 * score.top1, "%"),
        ("mAP", None if score.map is None else 100 * score.map, "%"),
        ("images", score.images, ""),
        ("seconds", score.seconds, ""),
        ("peak memory", round(computer.peak_memory()), "MiB"),
    ):
        if value is not None:
            text = f"{value}" if isinstance(value, int) else f"{value:.{decimals}f}"
            table.add_row(name, f"{text} {unit}".rstrip())
    table.add_row("logs", str(folder))
    console = Console()
    console.print(table)
    if machine:
        console.print(f"Timing: {machine}.")
        console.print(f"Not in these times, but for the restart: {machine.between}.")
    if host is not None:
        part = "not in these times" if machine else "a part of these times"
        console.print(f"Host, {part}: {host}.")
    if machine and pace:
        _print_pace(console, score, pace)
    if score.shortfalls:
        less = "Less" if score.full_length else "Shorter"
        console.print(f"{less} than MLPerf asks: {', '.join(score.shortfalls)}.")
    for line in remarks(score, manifest):
        console.print(line)
    for error in score.errors:
        console.print(f"LoadGen reports an error: {error}")


def _print_pace(console: Console, score: Score, pace: Pace) -> None:
    """How near the run came to the model, and plainly if it did not come near enough."""
    unit = "images/s" if score.scenario == "Offline" else "ms"
    console.print(
        f"Pace: {score.merit:.4f} {unit} where the model has {pace.modelled:.4f} "
        f"({100 * pace.error:+.3f} %); {pace.overhead_us:.1f} us of LoadGen's Python bindings are "
        f"compensated; {'real-time' if pace.real_time else 'ordinary'} priority."
    )
    if pace.errors:
        errors = (f"{name} {100 * value:+.3f} %" for name, value in pace.errors.items())
        console.print(f"Latency against the model: {', '.join(errors)}.")
    console.print(
        f"{pace.outside} of {pace.queries} queries were more than {TOLERANCE:.0%} off the model."
    )
    if not pace.kept:
        console.print(
            "The pace of the model was MISSED: this computer was too busy. The figures above are "
            "not those of the modelled machine; run it again on a quiet one."
        )


def figures(
    score: Score,
    machine: ModelledMachine | None,
    pace: Pace | None,
    folder: Path,
    *,
    artifact: Path,
    manifest: Manifest,
    benchmark: Benchmark,
    threads: int,
    host: HostTime | None,
) -> dict[str, object]:
    """The same for JSON, with all that was assumed; arguments as for :func:`show`, and further.

    Args:
        artifact: that was tested.
        manifest: its.
        benchmark: as which it was tested.
        threads: of the functional model.
    """
    return {
        "benchmark": benchmark.name,
        **dataclasses.asdict(score),
        "class_offset": manifest.class_offset,
        "remarks": remarks(score, manifest),
        "timing": "modelled" if machine else "host",
        **_modelled(machine),
        **({"pace": dataclasses.asdict(pace)} if pace else {}),
        **({"host": msgspec.to_builtins(host)} if host else {}),
        "artifact": str(artifact),
        "model": manifest.model,
        "machine": computer.description(),
        "peak_memory_mib": computer.peak_memory(),
        "threads": threads,
        "loadgen": importlib.metadata.version("mlcommons-loadgen"),
        "output": str(folder),
    }


def _modelled(machine: ModelledMachine | None) -> dict[str, Any]:
    """What is assumed, if it is a machine whose speed was timed."""
    if machine is None:
        return {}
    device = machine.figures()
    return {"clock": device["clock"], "memory": device["memory"], "device": device}
