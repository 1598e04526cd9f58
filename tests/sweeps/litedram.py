"""A machine behind LiteDRAM's AXI4 port, as RTL, beside the cycle model with our model of it.

    python -m tests.sweeps.litedram --cases 12,46,94,283,394 --kinds ddr3,ddr4
    python -m tests.sweeps.litedram --config micro --cases 94

Needs the extra ``memory`` (litedram, litex, migen). Cases are the networks of the fuzzer's seed 5.
LiteDRAM is generated with a chip of 8 or 16 bits, as the port needs, and its own model of an SDRAM,
compiled by Yosys and g++, and stepped beside Amaranth's simulator; program, weights and image are
written to it over its port, the output is read back. Our model has LiteDRAM's times of the chip;
two numbers are measured on LiteDRAM, see ``fitted``. First a stream of bursts, as weights are read.
Exit code 1: a value is wrong.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from typing import Any

import numpy as np

from hw.config import PRESETS, DnaConfig
from hw.top import ObservedDna
from sim.cycles import predict
from sim.driver import Driver
from sim.memory.model import MemoryModel
from sim.memory.ports import MemoryPorts
from sim.reference import ReferenceModel
from tests.support.litedram import BehindLiteDram, LiteDram, like
from tests.support.litedram_chip import BEATS, CLOCK_HZ, COLUMNS
from tests.sweeps.fuzz_cases import Case, draw

SEED = 5
CYCLE_PS = 10**12 // CLOCK_HZ
MOST_LATENCY, MOST_TURN = 50, 20
STREAM = 4096


def fitted(kind: str, word: int) -> MemoryModel:
    """Our model of LiteDRAM with such a chip, for a port of ``word`` bytes.

    Two numbers are measured: the latency of a read of an open row, and how much later than the word
    before it a word of another bank comes, whose row is open, too.
    """
    memory = LiteDram(kind, word)
    row = COLUMNS * word // BEATS
    for address in (0, row):
        memory.wait(address)
    one, two = memory.wait(word, row + word)
    for latency, turn in itertools.product(range(1, MOST_LATENCY), range(1, MOST_TURN)):
        dram = like(memory.numbers, kind, word, turn)
        model = MemoryModel(latency=latency, dram=dram, cycle_ps=CYCLE_PS)
        if _wait(model, word, (0,), (row,), (word, row + word)) == [one, two]:
            return model
    raise SystemExit(f"no latency and turn make two reads take LiteDRAM's {one}, {two} cycles")


def _wait(model: MemoryModel, word: int, *requests: tuple[int, ...], words: int = 1) -> list[int]:
    """Cycles to each word of the last requests, of those that are asked for together."""
    ports = MemoryPorts(model, ports=1, readers=4, word_bytes=word)
    for addresses in requests:
        cycle, asked, found = 0, 0, []
        while len(found) < len(addresses) * words:
            state = ports.offer()[0]
            if state.rvalid:
                found.append(cycle)
            if asked < len(addresses) and state.arready:
                ports.read(0, 0, addresses[asked], words)
                asked += 1
            ports.take(0, rready=True, bready=True)
            cycle += 1
    return found


def stream(model: MemoryModel, kind: str, word: int, words: int) -> tuple[int, int]:
    """Cycles of LiteDRAM and of the model for a stream of bursts of ``words``."""
    addresses = tuple(burst * words * word for burst in range(STREAM // words))
    found = LiteDram(kind, word).wait(*addresses, words=words)
    ours = _wait(model, word, addresses, words=words)
    return found[-1] - found[0], ours[-1] - ours[0]


def behind(case: Case, program: Any, config: DnaConfig, kind: str) -> tuple[int, bool]:
    """Cycles of the run, and whether the output is right."""
    machine = BehindLiteDram(ObservedDna, config, size=program.memory.size, kind=kind)
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
    parser.add_argument("--config", default="nano", help="nano or micro")
    asked = parser.parse_args()
    config, wrong = PRESETS[asked.config], 0
    print("| machine | chip | case | LiteDRAM | model | difference | ideal memory | values |")
    print("|---|---|---|---:|---:|---:|---:|---|")
    for kind in asked.kinds.split(","):
        memory = fitted(kind, config.port_bytes)
        cycles, model = stream(memory, kind, config.port_bytes, config.burst_words)
        print(
            f"| {config.name} | {kind} | stream of {STREAM:,} words | {cycles:,} | {model:,} | "
            f"{100 * (model / cycles - 1):+.1f} % | {STREAM:,} | |",
            flush=True,
        )
        for number in map(int, asked.cases.split(",")):
            case = draw(SEED, number)
            program = case.program(config)
            model, ideal = predict(program, memory).cycles, predict(program).cycles
            cycles, right = behind(case, program, config, kind)
            wrong += not right
            print(
                f"| {config.name} | {kind} | {SEED}:{number} | {cycles:,} | {model:,} | "
                f"{100 * (model / cycles - 1):+.1f} % | {ideal:,} | "
                f"{'all right' if right else 'WRONG'} |",
                flush=True,
            )
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
