"""A loop counter that knows a step ahead whether it is at its last value."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value


class Countdown:
    """How many turns of a loop are left, and whether this is the last one, from registers.

    The methods give statements for ``m.d.sync``, as those of
    :class:`hw.memory.row_address.RowAddress`.

    Args:
        m: gets the comparisons.
        turns: how many there are, at least 1, constant from a cycle before it is needed on.
        name: of the signals.
        step: how many turns are made at once.

    Attributes:
        left: turns left, this one included.
        last: this is the last turn.
        one: there is only one; as ``turns`` was in the cycle before.
        next_last: the turn after this one is the last, or, behind the last one, the first.
    """

    def __init__(self, m: Module, turns: Value, *, name: str, step: Any = 1) -> None:
        self._turns, self._step = turns, step
        self.left = Signal(len(turns), name=f"{name}_left", reset_less=True)
        self.last = Signal(name=f"{name}_last", reset_less=True)
        self.one = Signal(name=f"{name}_one", reset_less=True)
        self.next_last = Signal(name=f"{name}_next_last")
        m.d.sync += self.one.eq(turns <= step)
        m.d.comb += self.next_last.eq(Mux(self.last, self.one, self.left <= step << 1))

    def begin(self, turns: Value | None = None, one: Value | None = None) -> list[Any]:
        """Go to the first turn, of others than those given at first if there are any."""
        return [
            self.left.eq(self._turns if turns is None else turns),
            self.last.eq(self.one if one is None else one),
        ]

    def step(self) -> list[Any]:
        """Go to the next turn."""
        return [self.left.eq(self.left - self._step), self.last.eq(self.left <= self._step << 1)]
