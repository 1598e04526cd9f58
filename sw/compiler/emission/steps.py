"""Instructions before they have their tokens."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from hw.config import DnaConfig
from hw.isa import Engine, Instruction, InstructionError, Opcode
from hw.isa.accesses import Accesses, accesses
from sw.compiler.layers import Layer
from sw.errors import DnaError


@dataclasses.dataclass(frozen=True)
class Step:
    """An instruction without tokens, and the accesses that its place in the program depends on."""

    instruction: Instruction
    accesses: Accesses

    @property
    def opcode(self) -> Opcode:
        """Of the instruction."""
        return self.instruction.opcode

    @property
    def engine(self) -> Engine:
        """Who executes it."""
        return self.instruction.engine


class StepMaker:
    """Makes the steps of one layer.

    Args:
        config: of the machine.
        layer: whose name and number stand in the steps.
    """

    def __init__(self, config: DnaConfig, layer: Layer) -> None:
        self.config = config
        self.layer = layer

    def __call__(
        self, opcode: Opcode, fields: Mapping[str, int], touched: Accesses | None = None
    ) -> Step:
        """A step with ``fields``.

        Args:
            touched: instead of what the instruction touches, if it stands for others too or others
                stand for it.

        Raises:
            DnaError: a value is too large for its field.
        """
        try:
            instruction = Instruction(opcode, {**fields, "layer": self.layer.number})
        except InstructionError as error:
            raise DnaError(
                f"{self.layer.name} is too large for the instruction set: {error}"
            ) from error
        if touched is None:
            touched = accesses(instruction, self.config)
        return Step(instruction, touched)
