"""Addresses in rows of words, stepped rather than multiplied."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, ShapeLike, Signal, Value


class RowAddress:
    """An address that moves along a row and on to the next one, modulo its width.

    Every walk over a tensor in memory is made of these. The methods give the statements for
    ``m.d.sync`` that move it, to stand in whatever order of loops a block has.

    Args:
        m: gets the adder of ``next_row``.
        shape: of the address, in words.
        pitch: words from one row to the next.
        name: of the signals.
        here: the signal of the address, if there is one already.
        reset_less: whether the registers have no reset, as where nothing reads them before
            :meth:`begin`.

    Attributes:
        here: the address.
        row: that of the first word of the row.
        next_row: that of the first word of the row behind it.
    """

    def __init__(
        self,
        m: Module,
        shape: ShapeLike,
        *,
        pitch: Any,
        name: str,
        here: Any = None,
        reset_less: bool = False,
    ) -> None:
        self.here = Signal(shape, name=name, reset_less=reset_less) if here is None else here
        self.row = Signal(shape, name=f"{name}_row", reset_less=reset_less)
        self.next_row = Signal(shape, name=f"{name}_next_row")
        m.d.comb += self.next_row.eq(self.row + pitch)

    def begin(self, at: Value) -> list[Any]:
        """Go to a row that begins at ``at``."""
        return [self.row.eq(at), self.here.eq(at)]

    def advance(self, words: Any) -> list[Any]:
        """Go on by ``words`` in the row."""
        return [self.here.eq(self.here + words)]

    def advance_row(self) -> list[Any]:
        """Go to the first word of the next row."""
        return self.begin(self.next_row)
