"""To which block of the sources the cells of a flat netlist belong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from harness.hardware.timing.netlist.graph import Names

DEPTH = 2
"""Blocks so many steps deep are told apart."""


class Pins(msgspec.Struct, frozen=True):
    """The nets that a cell reads, and those that it drives."""

    reads: Sequence[int]
    drives: Sequence[int]


def block_of(signal: str, paths: set[str], depth: int | None = None) -> str:
    """The path of the block in which a signal is; empty: of none below the top.

    Args:
        signal: with its path in front.
        paths: of all blocks, each with a dot behind.
        depth: at most so many steps deep.
    """
    parts = signal.split(".")[:-1][:depth]
    while parts and ".".join(parts) + "." not in paths:
        parts.pop()
    return ".".join(parts)


def by_block(cells: Mapping[str, Pins], names: Names, paths: set[str]) -> dict[str, str]:
    """By cell: its block, :data:`DEPTH` steps deep at most.

    That is the block of the signal that it drives. A cell that drives none with a name is with one
    of those that it drives: what a mapper has made of logic in several blocks cannot be told apart.
    """
    readers: dict[int, str] = {}
    for cell, pins in cells.items():
        for bit in pins.reads:
            readers.setdefault(bit, cell)
    found: dict[str, str] = {}
    for first in cells:
        chain: list[str] = []
        block, here = "", first
        while here not in chain:
            if here in found:
                block = found[here]
                break
            chain.append(here)
            drives = cells[here].drives
            name = next((name for bit in drives if (name := names.of(bit))), None)
            if name is not None:
                block = block_of(name, paths, DEPTH)
                break
            here = next((readers[bit] for bit in drives if bit in readers), here)
        found.update(dict.fromkeys(chain, block))
    return found
