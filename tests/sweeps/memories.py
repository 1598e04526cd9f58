"""Networks on the named machines with every named memory, as a table in Markdown.

    python -m tests.sweeps.memories build/v15.dna --timing f200=f200.json --write docs/results.md

Each network is compiled for each memory and predicted by the cycle model, at the clock that the
file of a machine proves, or else at an assumed one, which the table marks. With ``--write`` the
table goes between its two marks in that page.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.hardware.energy import energy
from harness.hardware.timing.clock import ASSUMED, Clock, chosen
from hw.config import PRESETS, DnaConfig
from sim.cycles import predict
from sim.memory.bandwidth import effective_bandwidth
from sim.memory.model import MemoryModel
from sim.memory.presets import IDEAL, names
from sw import artifact
from sw.compiler import compile_graph
from sw.graph import Graph

MARK, END = "<!-- Written by tests.sweeps.memories. -->", "<!-- So far. -->"
MACHINES = ("f200", "f100", "micro")
MEMORIES = (*names(), "2xddr4-2400x64")
HEAD = "| network, machine | MHz | memory | part of the port | cycles | ms | lost | MB moved | mJ |"


@dataclasses.dataclass(frozen=True)
class Result:
    """A network on a machine with a memory.

    Attributes:
        bandwidth: that the schedule is made for, as a part of the port's width.
        clock: of the machine.
        cycles: by the cycle model, from start to interrupt.
        ideal: with the ideal memory.
        moved: bytes read and written in DRAM.
        energy: of an image, estimated, in mJ: of the machine, of the DRAM.
    """

    network: str
    machine: str
    memory: str
    bandwidth: float
    clock: Clock
    cycles: int
    ideal: int
    moved: int
    energy: tuple[float, float]

    def row(self) -> str:
        """Of the table."""
        lost = max(0.0, 1 - self.ideal / self.cycles)
        milliseconds = self.cycles / (self.clock.mhz * 1e3)
        assumed = " (assumed)" if self.clock.proof == ASSUMED else ""
        cells = (
            f"{self.network}, {self.machine}",
            f"{self.clock.mhz:g}{assumed}",
            self.memory,
            f"{self.bandwidth:.0%}".replace("%", " %"),
            f"{self.cycles:,}",
            f"{milliseconds:.3f}",
            f"{lost:.1%}".replace("%", " %"),
            f"{self.moved / 1e6:.1f}",
            "{:.1f} + {:.1f}".format(*self.energy),
        )
        return f"| {' | '.join(cells)} |"


def results(name: str, graph: Graph, config: DnaConfig, clock: Clock) -> Iterator[Result]:
    """A network on a machine with one memory after the other, the ideal one first."""
    ideal = 0
    for memory in MEMORIES:
        model = MemoryModel.named(memory, clock.mhz)
        bandwidth = effective_bandwidth(model, config)
        program = compile_graph(graph, config, bandwidth)
        prediction = predict(program, model)
        if memory == IDEAL:
            ideal = prediction.cycles
        words = sum(prediction.words_read.values()) + prediction.words_written
        moved = words * config.dram_bytes_per_cycle
        spent = energy(program, prediction, memory=memory, clock_mhz=clock.mhz)
        yield Result(
            name,
            config.name,
            memory,
            bandwidth,
            clock,
            prediction.cycles,
            ideal,
            moved,
            (spent.mj_machine, spent.mj_per_image - spent.mj_machine),
        )


def write(page: Path, table: str) -> None:
    """Put the table between its two marks."""
    front, mark, rest = page.read_text().partition(MARK)
    _, end, back = rest.partition(END)
    if not mark or not end:
        raise SystemExit(f"{page} has not both marks: {MARK} and {END}")
    page.write_text(f"{front}{MARK}\n\n{table}\n\n{END}{back}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Predict all, print the table, write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="+", type=Path, metavar="ARTIFACT")
    parser.add_argument("--machines", default=",".join(MACHINES))
    parser.add_argument("--timing", action="append", default=[], metavar="MACHINE=FILE")
    parser.add_argument("--write", type=Path, metavar="PAGE")
    asked = parser.parse_args(arguments)
    files = dict(each.split("=", 1) for each in asked.timing)
    lines = [HEAD, "|---|---:|---|" + "---:|" * (HEAD.count("|") - 4)]
    for path in asked.networks:
        network = artifact.load(path)
        for machine in asked.machines.split(","):
            name = network.manifest.model
            file = Path(files[machine]) if machine in files else None
            clock, _ = chosen(PRESETS[machine], file, None)
            for result in results(name, network.graph, PRESETS[machine], clock):
                lines.append(result.row())
                print(lines[-1], flush=True)
    if asked.write is not None:
        write(asked.write, "\n".join(lines))


if __name__ == "__main__":
    main()
