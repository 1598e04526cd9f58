"""ResNet50 for small images on the smallest machine, most of whose feature maps go to DRAM.

``python -m tests.support.spilling_network`` runs the whole program on compiled RTL and compares
every value with the functional model, and the logits with LiteRT's. The weights are random: of
64 x 64 pixels the trained ones make no better test.
"""

from __future__ import annotations

import time
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.progress import Progress

from harness.commands.common import check_writable, json_option, write_json
from hw.config import PRESETS
from sim.functional import FunctionalModel
from sim.functional.flatbuffer import emit
from sim.functional.litert import LiteRT
from sim.rtl.registry import open_simulator
from sim.verify.rtl import verify_program
from sw.compiler import compile_graph
from tests.support.graphs import random_image, random_resnet50

CONFIG = PRESETS["nano"]


@click.command()
@click.option("--size", default=64, show_default=True, help="Rows and columns of the image.")
@click.option("--seed", default=0, show_default=True)
@json_option
def main(size: int, seed: int, json_file: Path | None) -> None:
    """Run it; exit code 0 means that values were compared and none differs."""
    check_writable(json_file)
    rng = np.random.default_rng(seed)
    graph = random_resnet50(rng, size)
    image = random_image(rng, graph)
    program = compile_graph(graph, CONFIG)
    expected = FunctionalModel(graph).run_all(image)
    judged = LiteRT(emit(graph)).run(image)[0]
    in_dram = [t.output for t in program.layers[:-1] if t.dram is not None]
    with (
        open_simulator(CONFIG, size=program.memory.size, record_writes=True) as machine,
        Progress(console=Console(stderr=True), transient=True) as bar,
    ):
        started = time.perf_counter()
        task = bar.add_task("running", total=sum(t.estimated_cycles for t in program.layers))
        result = verify_program(
            machine,
            program,
            image,
            expected,
            progress=lambda cycles: bar.update(task, completed=cycles),
        )
    seconds = time.perf_counter() - started
    figures = {
        "config": CONFIG.name,
        "size": size,
        "spill_bytes": program.memory.spill.length,
        "spilled_maps": len(in_dram),
        "maps": len(program.layers),
        "values": result.values,
        "mismatches": result.mismatches,
        "litert_logits_differ": int(
            np.count_nonzero(judged.reshape(-1) != expected[graph.output].reshape(-1))
        ),
        "cycles": result.cycles,
        "macs": result.macs,
        "utilization": result.utilization,
        "seconds": seconds,
    }
    Console(soft_wrap=True, highlight=False).print(
        f"{CONFIG.name}, ResNet50 at {size} x {size}: {len(in_dram)} of {len(program.layers)} "
        f"feature maps in DRAM ({program.memory.spill.length:,} bytes); {result.values:,} values "
        f"compared, {result.mismatches:,} differ, {figures['litert_logits_differ']} logits differ "
        f"from LiteRT; {result.cycles:,} cycles, MAC utilization {result.utilization:.1%}, "
        f"simulated in {seconds:.0f} s"
    )
    write_json(json_file, figures)
    right = (
        result.values > 0
        and result.mismatches == 0
        and figures["litert_logits_differ"] == 0
        and program.memory.spill.length > 0
    )
    raise SystemExit(0 if right else 1)


if __name__ == "__main__":
    main()
