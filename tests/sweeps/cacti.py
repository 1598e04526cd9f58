"""Energy and area of memories by CACTI, written to ``harness/hardware/cacti.json``.

    build/energy/bin/python -m tests.sweeps.cacti --write

Runs in the environment that ``make energy`` makes (Python 3.12 or later, ``hwcomponents-cacti``).
Memories have two ports, since the machine's read and write in the same cycle. What lies between the
widths and sizes of the grid is interpolated (:mod:`harness.hardware.sram`).
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hwcomponents_cacti import SRAM

NANOMETRES = 45
PORTS = 2
BITS = (32, 64, 128, 256, 512, 1024)
KIBIBYTES = (1, 4, 16, 64, 256, 1024)
RECORD = Path(__file__).parents[2] / "harness/hardware/cacti.json"


def measure(bits: int, kibibytes: int) -> dict[str, Any]:
    """One memory: pJ to read and to write a word, mm2."""
    size = 8 * 1024 * kibibytes
    memory = SRAM(
        tech_node=NANOMETRES * 1e-9,
        width=bits,
        depth=size // bits,
        size=size,
        n_rw_ports=PORTS,
    )
    return {
        "bits": bits,
        "kibibytes": kibibytes,
        "read_pj": round(memory.read_energy * 1e12, 3),
        "write_pj": round(memory.write_energy * 1e12, 3),
        "mm2": round(memory.area * 1e6, 5),
    }


def main() -> None:
    """Measure the grid, print it; with ``--write`` keep it."""
    memories = []
    for bits in BITS:
        for kibibytes in KIBIBYTES:
            memories.append(measure(bits, kibibytes))
            print(memories[-1], flush=True)
    record = {
        "tool": f"CACTI of hwcomponents-cacti {version('hwcomponents-cacti')}",
        "nanometres": NANOMETRES,
        "ports": PORTS,
        "memories": memories,
    }
    if "--write" in sys.argv[1:]:
        RECORD.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
