"""How a run of a compiled program went, layer by layer."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Mismatch:
    """A value that differs.

    Attributes:
        where: (y, x, channel) of the layer's output.
        expected: by the functional model.
        got: None if it was never written.
        cycle: in which the hardware wrote it, from power-on; None where there is no time.
        instruction: number of the instruction that should have, and its text.
    """

    where: tuple[int, int, int]
    expected: int
    got: int | None
    cycle: int | None
    instruction: tuple[int, str]


@dataclasses.dataclass(frozen=True)
class LayerResult:
    """How one layer of the program went.

    Attributes:
        name: operations of the layer.
        shape: of its output (height, width, channels).
        values: values compared.
        mismatches: values that differ or were not written exactly once.
        cycles: from the last write of the layers before to its own last one; None where there is
            no time.
        macs: multiply-accumulates.
        first: the first mismatch in time.
    """

    name: str
    shape: tuple[int, int, int]
    values: int
    mismatches: int
    cycles: int | None
    macs: int
    first: Mismatch | None


@dataclasses.dataclass(frozen=True)
class ProgramResult:
    """How a run went.

    Attributes:
        layers: in program order.
        logits: how many values of the outputs in memory differ from the expected ones.
    """

    layers: list[LayerResult]
    logits: int

    @property
    def values(self) -> int:
        """Values compared."""
        return sum(layer.values for layer in self.layers)

    @property
    def mismatches(self) -> int:
        """Values that differ, logits in memory included."""
        return sum(layer.mismatches for layer in self.layers) + self.logits

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all layers."""
        return sum(layer.macs for layer in self.layers)


@dataclasses.dataclass(frozen=True)
class TimedResult(ProgramResult):
    """How a run of the hardware went.

    Attributes:
        cycles: from start to interrupt, as the machine counted them.
        utilization: ``macs`` / (MACs of the machine x ``cycles``).
        activity: cycles by engine and activity, from the machine's registers.
    """

    cycles: int
    utilization: float
    activity: dict[str, dict[str, int]]
