"""Nano behind LiteDRAM's AXI4 port, as RTL, beside the cycle model with our model of that memory.

    python -m tests.sweeps.litedram --cases 12,46,94,283,394 --kinds ddr3,ddr4

Needs the extra ``memory`` (litedram, litex, migen). Cases are the networks of the fuzzer's seed 5.
LiteDRAM is generated with a chip of 8 bits and its own model of an SDRAM, compiled by Yosys and
g++, and stepped beside Amaranth's simulator; program, weights and image are written to it over its
port, the output is read back. Our model has LiteDRAM's times of the chip, and the latency of one
read of an open row; nothing else is fitted. Exit code 1: a value is wrong.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np

from hw.config import PRESETS
from hw.top import ObservedDna
from sim.cycles import predict
from sim.driver import Driver
from sim.memory.model import MemoryModel
from sim.memory.ports import MemoryPorts
from sim.reference import ReferenceModel
from tests.support.litedram import WORD, BehindLiteDram, LiteDram, like
from tests.support.litedram_chip import CLOCK_HZ
from tests.sweeps.fuzz_cases import Case, draw

NANO = PRESETS["nano"]
SEED = 5
CYCLE_PS = 10**12 // CLOCK_HZ
MOST_LATENCY = 50


def fitted(kind: str) -> MemoryModel:
    """Our model of LiteDRAM with such a chip."""
    memory = LiteDram(kind)
    memory.read(0)
    wanted = memory.wait(WORD)
    dram = like(memory.numbers, kind)
    for latency in range(1, MOST_LATENCY):
        model = MemoryModel(latency=latency, dram=dram, cycle_ps=CYCLE_PS)
        if _wait(model) == wanted:
            return model
    raise SystemExit(f"no latency makes a read take LiteDRAM's {wanted} cycles")


def _wait(model: MemoryModel) -> int:
    """Cycles from the request of a word of an open row to that word."""
    ports = MemoryPorts(model, ports=1, readers=4, word_bytes=WORD)
    for address in (0, WORD):
        ports.offer()
        ports.read(0, 0, address, 1)
        ports.take(0, rready=True, bready=True)
        cycles = 1
        while not ports.offer()[0].rvalid:
            ports.take(0, rready=True, bready=True)
            cycles += 1
        ports.take(0, rready=True, bready=True)
    return cycles


def behind(case: Case, program: Any, kind: str) -> tuple[int, bool]:
    """Cycles of the run, and whether the output is right."""
    machine = BehindLiteDram(ObservedDna, NANO, size=program.memory.size, kind=kind)
    driver = Driver(machine, program)
    driver.run(case.pixels)
    region = program.memory.output.region
    machine.fetch(region.offset, region.end)
    images = [case.pixels] if case.images == 1 else case.pixels
    right = [ReferenceModel(case.graph).run_all(image)[case.graph.output] for image in images]
    found = program.memory.output.read(machine.memory)
    return driver.cycles, np.array_equal(found.ravel(), np.stack(right).ravel())


def main() -> None:
    """Compare, print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", default="12,46,94,283,394")
    parser.add_argument("--kinds", default="ddr3,ddr4")
    asked = parser.parse_args()
    wrong = 0
    print("| chip | case | LiteDRAM | model | difference | ideal memory | values |")
    print("|---|---|---:|---:|---:|---:|---|")
    for kind in asked.kinds.split(","):
        memory = fitted(kind)
        for number in map(int, asked.cases.split(",")):
            case = draw(SEED, number)
            program = case.program(NANO)
            model, ideal = predict(program, memory).cycles, predict(program).cycles
            cycles, right = behind(case, program, kind)
            wrong += not right
            print(
                f"| {kind} | {SEED}:{number} | {cycles:,} | {model:,} | "
                f"{100 * (model / cycles - 1):+.1f} % | {ideal:,} | "
                f"{'all right' if right else 'WRONG'} |",
                flush=True,
            )
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
