"""Which words the modules of CONV see."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from hw.config import DnaConfig
from hw.isa import Instruction
from sim.interpreter.errors import ProgramError

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Nest:
    """What the fields of a CONV say of its loops.

    Attributes:
        lanes: k, modules that share a reduction.
        group: g, output words of a channel tile.
        slices: of a window.
        neighbours: int [channel tile, word], of which neighbour each output word is one; -1 if
            there is none.
    """

    lanes: int
    group: int
    slices: int
    neighbours: Array

    @classmethod
    def of(cls, config: DnaConfig, op: Instruction) -> Nest:
        """The loops of ``op``.

        Raises:
            ProgramError: the machine refuses it.
        """
        lanes = 1 << op["split"]
        if lanes > config.modules:
            raise ProgramError(f"split {op['split']} is more than {config.modules} modules")
        slices = op["kernel_height"] * op["kernel_width"] * op["in_words"]
        if (op["slices"], op["passes"]) != (slices, -(-slices // lanes)):
            raise ProgramError(f"{op['slices']} slices in {op['passes']} passes do not add up")
        group = config.modules // lanes
        words = np.arange(op["channel_tiles"] * group).reshape(-1, group)
        neighbours = np.zeros_like(words)
        if op["neighbours"]:
            if not op["pixel_words"]:
                raise ProgramError("neighbours have pixel_words 0")
            neighbours = words // op["pixel_words"]
            neighbours[neighbours >= op["neighbours"]] = -1
        nest = cls(lanes, group, slices, neighbours)
        nest._check_banks(config, op)
        return nest

    def _check_banks(self, config: DnaConfig, op: Instruction) -> None:
        """No two modules want different words of one bank in a pass."""
        taps, words = np.divmod(np.arange(self.slices), op["in_words"])
        rows, columns = np.divmod(taps, op["kernel_width"])
        offsets = rows * op["in_pitch"] + columns * op["in_words"] + words
        for seen in np.unique(self.neighbours, axis=0):
            starts = np.unique(seen[seen >= 0]) * op["neighbour_words"]
            for first in range(0, self.slices, self.lanes):
                wanted = np.unique(offsets[first : first + self.lanes] + starts[:, None])
                if len(np.unique(wanted % config.modules)) < len(wanted):
                    raise ProgramError(
                        f"bank conflict: with a pitch of {op['in_pitch']} and neighbours "
                        f"{op['neighbour_words']} words apart, two modules want different words "
                        "of one bank"
                    )
