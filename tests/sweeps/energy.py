"""The method of ``dna report``'s energy on a machine like one whose energy is published.

    python -m tests.sweeps.energy build/v15.dna

NVDLA's primer (nvdla.org, "Example area and performance") has ResNet50 in int8 on 2,048 MACs with
512 KiB, 1 GHz, 16 nm, without its DRAM: 269 images a second at 291 mW on average, 766 mW at most.
"""

from __future__ import annotations

import sys
from pathlib import Path

from harness.hardware.energy import energy
from harness.hardware.energy_constants import TECHNOLOGIES
from hw.config import DnaConfig
from sim.cycles import predict
from sim.memory.presets import IDEAL
from sw import artifact
from sw.compiler import compile_graph

NVDLA_MJ, NVDLA_PEAK_MJ = 291 / 269, 766 / 269
NVDLA_MHZ = 1000

LIKE_NVDLA = DnaConfig(
    name="like NVDLA",
    modules=8,
    rows=16,
    columns=16,
    lanes=32,
    accumulation_depth=256,
    dram_bytes_per_cycle=64,
    feature_words=32768,
    weight_fifo_words=256,
)
"""As many MACs and as much memory; the rest as our machine of half the MACs has it."""


def main() -> None:
    """Print both."""
    graph = artifact.load(Path(sys.argv[1])).graph
    program = compile_graph(graph, LIKE_NVDLA)
    prediction = predict(program)
    print(f"NVDLA, 16 nm, published: {NVDLA_MJ:.2f} mJ an image on average, {NVDLA_PEAK_MJ:.2f}")
    for name in TECHNOLOGIES:
        found = energy(program, prediction, memory=IDEAL, clock_mhz=NVDLA_MHZ, technology=name)
        table = TECHNOLOGIES[name]
        clock = sum(block.events["flip-flop cycles"] for block in found.blocks[:-1])
        print(
            f"open DNA, {LIKE_NVDLA.macs} MACs, {name}, estimated: {found.mj_machine:.2f} mJ, "
            f"of them {clock * table.flip_flop.usual * 1e-9:.2f} the clock of all registers; "
            f"{found.mj_machine / NVDLA_MJ:.1f} times the published average"
        )


if __name__ == "__main__":
    main()
