"""Networks on the simulated board: the SoC's Verilog with its SDRAM's pins and its serial port.

    dna soc --board ulx3s --config ulx3s -o build/ulx3s
    python -m tests.sweeps.board build/ulx3s --cases 12,394 --resnet50 32 --json build/board.json

The driver is that of ``dna board``; image, registers and answer go over the serial port. Cases are
the networks of the fuzzer's seed 5; ResNet50 v1.5 has random weights and an image of so many rows
and columns. Cycles are the machine's own count, beside the cycle model's with the ideal memory and
with the model of the board's SDRAM, for which programs are scheduled.
Exit code 1: a value is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from harness.board.boards import find
from harness.board.device import BoardMachine
from harness.board.link.simulated import SimulatedLink
from harness.board.sources import read_description
from harness.commands.common import PATH, check_writable, json_option, write_json
from hw.config import PRESETS
from sim.cycles import predict
from sim.driver import Driver
from sim.functional import FunctionalModel
from sim.memory.bandwidth import effective_bandwidth
from sim.memory.model import MemoryModel
from sw.compiler import compile_graph
from sw.graph import Graph
from tests.support.graphs import random_image, random_resnet50
from tests.sweeps.fuzz_cases import draw

SEED = 5


def networks(cases: str, size: int | None) -> Iterator[tuple[str, Graph, Any]]:
    """Name, network and image of each."""
    for number in map(int, filter(None, cases.split(","))):
        case = draw(SEED, number)
        yield f"case {SEED}:{number}", case.graph, case.image
    if size is not None:
        rng = np.random.default_rng(0)
        graph = random_resnet50(rng, size)
        yield f"ResNet50 v1.5, {size} x {size}", graph, random_image(rng, graph)


@click.command()
@click.argument("folder", type=PATH)
@click.option("--cases", default="12,394", show_default=True)
@click.option("--resnet50", "size", type=int, help="Rows and columns of ResNet50's image.")
@json_option
def main(folder: Path, cases: str, size: int | None, json_file: Path | None) -> None:
    """Run each network on the board of FOLDER, in Verilator."""
    check_writable(json_file)
    description = read_description(folder)
    config = PRESETS[description.config]
    memory = MemoryModel.named(find(description.board).memory, description.clock_hz / 1e6)
    link = SimulatedLink(folder, description)
    machine = BoardMachine(link, description, preload=link.preload)
    rows = []
    for name, graph, image in networks(cases, size):
        program = compile_graph(graph, config, effective_bandwidth(memory, config))
        driver = Driver(machine, program)
        found = driver.run(image)
        right = FunctionalModel(graph).run_all(image)[graph.output]
        rows.append(
            {
                "network": name,
                "values": found.size,
                "differ": int((found.ravel() != right.ravel()).sum()),
                "cycles": driver.cycles,
                "ideal_cycles": predict(program).cycles,
                "model_cycles": predict(program, memory).cycles,
                "seconds_on_board": driver.cycles / description.clock_hz,
            }
        )
        print(rows[-1], flush=True)
    link.close()
    table = Table(
        *("network", "values", "differ", "cycles"),
        *("model, ideal memory", "model, its memory", "difference", "ms on the board"),
    )
    for row in rows:
        table.add_row(
            row["network"],
            *(f"{row[key]:,}" for key in ("values", "differ", "cycles", "ideal_cycles")),
            f"{row['model_cycles']:,}",
            f"{row['model_cycles'] / row['cycles'] - 1:+.1%}",
            f"{1e3 * row['seconds_on_board']:.2f}",
        )
    Console().print(table)
    write_json(json_file, {"verilog": description.verilog, "networks": rows})
    sys.exit(1 if any(row["differ"] for row in rows) else 0)


if __name__ == "__main__":
    main()
