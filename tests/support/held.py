"""What the clock's judges found of each block the last time, so that nothing gets worse unnoticed.

``held.json`` has, by machine and target, the figures of every block, and the key of what they were
found from. A block that is still the same has the same figures; any other is judged anew, and may
not be slower. ``python -m tests.sweeps.timing --write`` writes the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.hardware.timing.cells.asic import Asic
from harness.hardware.timing.luts.levels import Levels

FILE = Path(__file__).parents[1] / "harness/hardware/held.json"
FIGURES = ("levels", "open_levels", "ns")
"""Of a block: the less, the better."""

Held = dict[str, dict[str, Any]]


def read(target: str) -> dict[str, Held]:
    """By machine: the blocks' figures for a target."""
    return dict(json.loads(FILE.read_text()).get(target, {}))


def write(target: str, machine: str, blocks: Held) -> None:
    """Hold other figures from now on."""
    whole = json.loads(FILE.read_text()) if FILE.exists() else {}
    whole.setdefault(target, {})[machine] = blocks
    FILE.write_text(json.dumps(whole, indent=1) + "\n")


def figures(judge: Levels | Asic, block: str) -> dict[str, Any]:
    """What is held of a block."""
    found = judge.block(block).block
    kept = ("levels", "open_levels") if isinstance(judge, Levels) else ("ns",)
    return {"key": judge.key(block), **{name: getattr(found, name) for name in kept}}


def worse(judge: Levels | Asic, blocks: Mapping[str, str], held: Held) -> list[str]:
    """A line for each block that is slower than what is held, or not held at all.

    Args:
        judge: of a machine.
        blocks: of it.
        held: what is to be kept.
    """
    lines = [f"{block} is not held" for block in blocks.keys() - held.keys()]
    lines += [f"{block} is held, but not there" for block in held.keys() - blocks.keys()]
    for block in sorted(blocks.keys() & held.keys()):
        if judge.key(block) == held[block]["key"]:
            continue
        found = judge.block(block)
        for name in FIGURES:
            was, now = held[block].get(name), getattr(found.block, name)
            if now is not None and name in held[block] and (was is None or now > was):
                path = next(p for p in found.paths if p.open == (name == "open_levels"))
                lines.append(f"{block}: {name} {now:g}, held are {was}: {path.start} -> {path.end}")
    return lines
