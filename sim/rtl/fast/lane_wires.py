"""What drives the bits of a small module: inputs, registers, cells; in pieces that fit a word."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Sequence

from sim.rtl.fast.netlist import Cell, Chunk, Netlist, UnsupportedError, cut

WORD = 64
"""Bits of the widest value that a loop computes with."""
_PART = 32  # what is wider than a word is kept in parts of this many bits


@dataclasses.dataclass(frozen=True)
class Input:
    """``width`` bits of an input port from ``low`` on."""

    port: str
    low: int
    width: int


@dataclasses.dataclass(frozen=True)
class Register:
    """``width`` flip-flops behind a wire's bits from ``low`` on; ``data`` is what they take."""

    wire: str
    low: int
    width: int
    init: int
    data: tuple[Chunk, ...]


Source = Input | Register | Cell
"""What has a value of its own; of a cell it is what its port Y gives."""


@dataclasses.dataclass(frozen=True)
class Bits:
    """``width`` bits of a source from ``low`` on, or of the constant ``value`` if there is none."""

    source: Source | None
    low: int
    width: int
    value: int = 0


@dataclasses.dataclass(frozen=True)
class _Piece:
    """Who drives a wire's bits from ``low`` on: ``source``, from its bit ``offset`` on."""

    low: int
    width: int
    source: Source | Chunk
    offset: int = 0


class Wires:
    """The wires of a module and their drivers.

    Args:
        netlist: a flat module without memories.

    Attributes:
        clock: the input that is the clock of all registers.
        inputs: all others, what is wider than :data:`WORD` in parts.
        registers: all of them, likewise.

    Raises:
        UnsupportedError: it has no registers or several clocks.
    """

    def __init__(self, netlist: Netlist) -> None:
        self._netlist = netlist
        self._pieces: dict[str, list[_Piece]] = defaultdict(list)
        flipflops = [cell for cell in netlist.cells if cell.kind == "$dff"]
        clocks = {cell.ports["\\CLK"].split()[0] for cell in flipflops}
        polarities = {cell.parameters["\\CLK_POLARITY"][-1] for cell in flipflops}
        if len(clocks) != 1 or polarities != {"1"}:
            raise UnsupportedError("clocks")
        self.clock = clocks.pop()
        self.inputs = [
            Input(name, low, width)
            for name, wire in netlist.wires.items()
            if wire.direction == "input" and name != self.clock
            for low, width in _parts(wire.width)
        ]
        for each in self.inputs:
            self._pieces[each.port].append(_Piece(each.low, each.width, each))
        self.registers = [register for cell in flipflops for register in self._registers(cell)]
        for register in self.registers:
            self._pieces[register.wire].append(_Piece(register.low, register.width, register))
        for cell in netlist.cells:
            if cell.kind not in ("$dff", "$scopeinfo"):
                for part in self._cells(cell):
                    self._drive(part.ports["\\Y"], part)
        for left, right in netlist.connections:
            self._connect(netlist.chunks(left), netlist.chunks(right))

    def _connect(self, left: Sequence[Chunk], right: Sequence[Chunk]) -> None:
        position = 0
        for chunk in left:
            low = chunk.low
            for part in cut(right, position, chunk.width):
                self._pieces[chunk.wire].append(_Piece(low, part.width, part))
                low += part.width
            position += chunk.width

    def _registers(self, cell: Cell) -> Iterator[Register]:
        data, position = self._netlist.chunks(cell.ports["\\D"]), 0
        for chunk in self._netlist.chunks(cell.ports["\\Q"]):
            init = self._netlist.wires[chunk.wire].init
            for offset, width in _parts(chunk.width):
                low = chunk.low + offset
                seen = cut(data, position, width)
                yield Register(chunk.wire, low, width, init >> low & (1 << width) - 1, tuple(seen))
                position += width

    def _cells(self, cell: Cell) -> Iterator[Cell]:
        """The cell, or its parts: wide registers with an enable have multiplexers as wide."""
        width = sum(chunk.width for chunk in self._netlist.chunks(cell.ports["\\Y"]))
        if cell.kind != "$mux" or width <= WORD:
            yield cell
            return
        wide = {port: self._netlist.chunks(cell.ports[port]) for port in ("\\A", "\\B", "\\Y")}
        for low, bits in _parts(width):
            parts = {port: cut(chunks, low, bits) for port, chunks in wide.items()}
            text = {port: f"{{ {' '.join(map(str, part[::-1]))} }}" for port, part in parts.items()}
            yield dataclasses.replace(cell, name=f"{cell.name} {low}", ports={**cell.ports, **text})

    def _drive(self, signal: str, cell: Cell) -> None:
        position = 0
        for chunk in self._netlist.chunks(signal):
            self._pieces[chunk.wire].append(_Piece(chunk.low, chunk.width, cell, position))
            position += chunk.width

    def bits(self, chunks: Sequence[Chunk]) -> Iterator[Bits]:
        """Where the bits of a signal come from, least significant first.

        Raises:
            UnsupportedError: nothing drives one of them.
        """
        for chunk in chunks:
            if not chunk.wire:
                yield Bits(None, 0, chunk.width, chunk.value)
                continue
            low, end = chunk.low, chunk.low + chunk.width
            while low < end:
                piece = self._at(chunk.wire, low)
                skip = low - piece.low
                width = min(end - low, piece.width - skip)
                if isinstance(piece.source, Chunk):
                    yield from self.bits(cut([piece.source], skip, width))
                else:
                    yield Bits(piece.source, piece.offset + skip, width)
                low += width

    def _at(self, wire: str, bit: int) -> _Piece:
        for piece in self._pieces[wire]:
            if piece.low <= bit < piece.low + piece.width:
                return piece
        raise UnsupportedError(f"{wire} [{bit}] has no driver")


def _parts(width: int) -> Iterator[tuple[int, int]]:
    """First bit and width of the parts in which so many bits are kept."""
    part = width if width <= WORD else _PART
    for low in range(0, width, part):
        yield low, min(part, width - low)
