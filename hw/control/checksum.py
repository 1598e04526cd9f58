"""The checksum of an instruction, added while its words arrive."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw import isa
from hw.isa.formats import CHECKSUM_BITS

_HALF = 16


def tree_levels(piece_bytes: int) -> int:
    """Levels of the tree of adders for pieces of so many bytes."""
    return (piece_bytes // 4).bit_length() - 1


class ChecksumAdder(wiring.Component):
    """Sums all words of 32 bits of an instruction but its last one, and ``CHECKSUM_SEED``.

    The halves of the words are summed by themselves, so that no adder has more than 20 bits: the
    carries of the lower half go to the upper one at the end. A tree adds a piece, a level a cycle;
    behind it the pieces are added up.

    Rate: a piece per cycle. Latency: ``tree_levels`` + 2 cycles from a piece to ``total``. Stall:
    none.

    Args:
        piece_bytes: bytes that arrive at once: a power of two from 4 to 64.

    Ports:
        clear: in, begin an instruction; no piece of the one before is on its way.
        add: in, ``piece`` is the next one in this cycle.
        last: in, it is the last one, with the checksum itself at its end.
        piece: in, unsigned(8 x piece_bytes).
        total: out, unsigned(32).

    Raises:
        ValueError: ``piece_bytes`` is no power of two from 4 to 64.
    """

    def __init__(self, *, piece_bytes: int) -> None:
        if piece_bytes not in (4, 8, 16, 32, isa.INSTRUCTION_BYTES):
            raise ValueError(
                f"piece_bytes must be a power of two from 4 to 64, not {piece_bytes!r}"
            )
        super().__init__(
            {
                "clear": In(1),
                "add": In(1),
                "last": In(1),
                "piece": In(unsigned(8 * piece_bytes)),
                "total": Out(unsigned(CHECKSUM_BITS)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build two trees, two sums, and the one addition that joins them."""
        m = Module()
        words = [self.piece.word_select(i, 32) for i in range(len(self.piece) // 32)]
        words[-1] = Mux(self.last, 0, words[-1])
        arrives = self.add
        lows = [word[:_HALF] for word in words]
        highs = [word[_HALF:] for word in words]
        level = 0
        while len(lows) > 1:
            sums = []
            for name, half in (("low", lows), ("high", highs)):
                pairs = list(zip(half[::2], half[1::2], strict=True))
                registers = [
                    Signal(len(a + b), name=f"{name}_{level}_{index}", reset_less=True)
                    for index, (a, b) in enumerate(pairs)
                ]
                m.d.sync += [
                    register.eq(a + b) for register, (a, b) in zip(registers, pairs, strict=True)
                ]
                sums.append(registers)
            lows, highs = sums
            behind = Signal(name=f"arrives_{level}")
            m.d.sync += behind.eq(arrives)
            arrives = behind
            level += 1
        low = Signal(_HALF + 4, init=isa.CHECKSUM_SEED & 0xFFFF)
        high = Signal(_HALF, init=isa.CHECKSUM_SEED >> _HALF)
        with m.If(self.clear):
            m.d.sync += [low.eq(low.init), high.eq(high.init)]
        with m.Elif(arrives):
            m.d.sync += [low.eq(low + lows[0]), high.eq(high + highs[0])]
        m.d.sync += self.total.eq(Cat(low[:_HALF], (high + low[_HALF:])[:_HALF]))
        return m
