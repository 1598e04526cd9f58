"""C++ of one step of a small module of registers, for all of its instances in one loop.

The module is RTLIL of Yosys' internal cells. A register's value lies in an array, one element for
each instance; all else is computed in the loop, which the compiler turns into vector instructions.
The names of types in it, and ``lane_...`` (``lane_values.h``), may as well be of values of several
instances.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

from sim.rtl.fast.lane_wires import WORD, Bits, Input, Register, Source, Wires
from sim.rtl.fast.netlist import Cell, Chunk, Netlist, UnsupportedError


def storage(width: int) -> str:
    """The type of an element that holds ``width`` bits."""
    return next(f"uint{bits}_t" for bits in (8, 16, 32, 64) if width <= bits)


@dataclasses.dataclass(frozen=True)
class Lane:
    """A module as the body of a loop over its instances, ``i``.

    Attributes:
        inputs: all but the clock; in the body, the array ``in_NUMBER``.
        registers: all of them; in the body, ``r_NUMBER``.
        outputs: the number of the register behind each output.
        clock: the input that is the clock.
        body: reads and writes element ``i`` of the arrays.
    """

    inputs: list[Input]
    registers: list[Register]
    outputs: dict[str, int]
    clock: str
    body: str


def _word(width: int) -> int:
    """Bits of the type to compute ``width`` bits with: vectors hold twice as many halves."""
    return WORD // 2 if width <= WORD // 2 else WORD


class _Translator:
    def __init__(self, netlist: Netlist) -> None:
        self._netlist = netlist
        self._wires = Wires(netlist)
        self._lines: list[str] = []
        self._values: dict[Source, str] = {}
        self._open: set[str] = set()

    def lane(self) -> Lane:
        wires = self._wires
        for number, each in enumerate(wires.inputs):
            self._values[each] = self._load(each.width, f"in_{number}")
        for number, register in enumerate(wires.registers):
            self._values[register] = self._load(register.width, f"r_{number}")
        taken = [self._read(each.data, _word(each.width)) for each in wires.registers]
        for number, value in enumerate(taken):
            self._lines.append(f"lane_store(r_{number} + i, {value});")
        outputs = {
            name: self._behind(name)
            for name, wire in self._netlist.wires.items()
            if wire.direction == "output"
        }
        return Lane(wires.inputs, wires.registers, outputs, wires.clock, "\n".join(self._lines))

    def _behind(self, output: str) -> int:
        """The number of the register that an output shows."""
        width = self._netlist.wires[output].width
        (first, *more) = self._wires.bits([Chunk(output, 0, width)])
        if more or first.low or not isinstance(first.source, Register):
            raise UnsupportedError("an output that is not a register")
        if first.source.width != width:
            raise UnsupportedError("an output that is a part of a register")
        return self._wires.registers.index(first.source)

    def _load(self, width: int, array: str) -> str:
        return self._variable(width, f"lane_load<uint{_word(width)}_t>({array} + i)")

    def _variable(self, width: int, value: str) -> str:
        name = f"v_{len(self._lines)}"
        self._lines.append(f"const uint{_word(width)}_t {name} = {value};  // {width} bits")
        return name

    def _value(self, source: Source) -> str:
        if source in self._values:
            return self._values[source]
        assert isinstance(source, Cell)  # all others have a variable from the beginning
        if source.name in self._open or source.kind not in _CELLS:
            raise UnsupportedError(f"a loop, or {source.kind}")
        self._open.add(source.name)
        ports = [width for port in source.ports if (width := self.width(source, port))]
        bits = _word(max(ports))
        width = self.width(source, "\\Y")
        value = _CELLS[source.kind](Operands(self, source, bits))
        self._values[source] = self._variable(width, f"({value}) & {_mask(width, bits)}")
        return self._values[source]

    def width(self, cell: Cell, port: str) -> int:
        width = sum(chunk.width for chunk in self._netlist.chunks(cell.ports[port]))
        if width > WORD:
            raise UnsupportedError("wide signals")
        return width

    def read(self, cell: Cell, port: str, bits: int) -> str:
        return self._read(self._netlist.chunks(cell.ports[port]), bits)

    def _read(self, chunks: Sequence[Chunk], bits: int) -> str:
        """A value of ``bits`` bits, zeros above the width of the signal."""
        parts, position = [], 0
        # A sign is extended by one bit again and again.
        for each, times in _repeated(self._wires.bits(chunks)):
            if each.source is None:
                part = f"uint{bits}_t({each.value:#x}ull)"
            else:
                part, whole = self._value(each.source), self._whole(each.source)
                if each.low:
                    part = f"{part} >> {each.low}"
                if each.low + each.width < whole:
                    part = f"({part}) & {_mask(each.width, _word(whole))}"
                part = f"uint{bits}_t({part})"
            if times > 1:
                part = f"((uint{bits}_t(0) - {part}) & {_mask(times, bits)})"
            parts.append(f"{part} << {position}" if position else part)
            position += each.width * times
        return "(" + " | ".join(f"({part})" for part in parts) + ")"

    def _whole(self, source: Source) -> int:
        return self.width(source, "\\Y") if isinstance(source, Cell) else source.width


def _repeated(seen: Iterable[Bits]) -> Iterator[tuple[Bits, int]]:
    """What is seen, and how often if it is a bit that follows itself."""
    for each, group in itertools.groupby(seen):
        times = len(list(group))
        if each.width == 1:
            yield each, times
        else:
            yield from [(each, 1)] * times


def _mask(width: int, bits: int) -> str:
    return f"uint{bits}_t({(1 << width) - 1:#x}ull)"


@dataclasses.dataclass(frozen=True)
class Operands:
    """What a cell sees at its ports, as C++ of type T."""

    translator: _Translator
    cell: Cell
    bits: int

    @property
    def unsigned(self) -> str:
        """The type that it is computed with."""
        return f"uint{self.bits}_t"

    @property
    def signed_type(self) -> str:
        """The same with a sign."""
        return f"int{self.bits}_t"

    @property
    def signs(self) -> list[str]:
        """For each operand "1" if it has a sign."""
        names = [name for name in ("\\A_SIGNED", "\\B_SIGNED") if name in self.cell.parameters]
        return [self.cell.parameters[name][-1] for name in names]

    @property
    def signed(self) -> bool:
        """Whether its operands have a sign: all of them, as in Verilog."""
        return set(self.signs) <= {"1"}

    def width(self, port: str) -> int:
        """The bits of a port."""
        return self.translator.width(self.cell, port)

    def read(self, port: str) -> str:
        """The value of a port, zeros above its width."""
        return self.translator.read(self.cell, port, self.bits)

    def extended(self, port: str) -> str:
        """The value of a port, sign-extended to the whole of its type if operands have a sign."""
        value, width = self.read(port), self.width(port)
        if not self.signed or width == self.bits:
            return value
        return f"lane_extend<{width}>({value})"


_Form = Callable[[Operands], str]


def _binary(operator: str) -> _Form:
    """Cells whose operands are extended to the width of the result."""
    return lambda cell: f"{cell.extended(_A)} {operator} {cell.extended(_B)}"


def _compare(operator: str) -> _Form:
    """Cells whose operands are extended to the wider of the two."""

    def code(cell: Operands) -> str:
        kind = cell.signed_type if cell.signed else cell.unsigned
        return f"{kind}({cell.extended(_A)}) {operator} {kind}({cell.extended(_B)})"

    return code


def _unary(form: str) -> _Form:
    return lambda cell: form.format(cell.extended(_A))


def _test(form: str) -> _Form:
    """Cells that give one bit and see no sign."""

    def code(cell: Operands) -> str:
        names = [cell.read(port) for port in (_A, _B) if port in cell.cell.ports]
        return form.format(*names, mask=_mask(cell.width(_A), cell.bits))

    return code


def _mux(cell: Operands) -> str:
    chosen, other, select = (cell.read(port) for port in (_B, _A, "\\S"))
    return f"lane_choose({select}, {chosen}, {other})"


def _shift(cell: Operands) -> str:
    """``$shr`` and ``$shl``: zeros come in, also from a place that C++ has no shift for."""
    if cell.signs != ["0", "0"]:
        raise UnsupportedError("a shift of what has a sign")
    way = "left" if cell.cell.kind == "$shl" else "right"
    return f"lane_shift_{way}({cell.read(_A)}, {cell.read(_B)})"


def _shift_signed(cell: Operands) -> str:
    """``$sshr`` of what has a sign: its sign comes in."""
    if cell.signs != ["1", "0"]:
        raise UnsupportedError("a shift to a signed place")
    value = f"lane_extend<{cell.width(_A)}>({cell.read(_A)})"
    return f"lane_shift_signed({value}, {cell.read(_B)})"


_A, _B = "\\A", "\\B"
_CELLS: dict[str, _Form] = {
    "$add": _binary("+"),
    "$sub": _binary("-"),
    "$mul": _binary("*"),
    "$and": _binary("&"),
    "$or": _binary("|"),
    "$xor": _binary("^"),
    "$eq": _compare("=="),
    "$ne": _compare("!="),
    "$lt": _compare("<"),
    "$le": _compare("<="),
    "$gt": _compare(">"),
    "$ge": _compare(">="),
    "$not": _unary("~{}"),
    "$neg": _unary("-{}"),
    "$pos": _unary("{}"),
    "$logic_not": _test("{0} == 0"),
    "$logic_and": _test("({0} != 0) & ({1} != 0)"),
    "$logic_or": _test("({0} | {1}) != 0"),
    "$reduce_or": _test("{0} != 0"),
    "$reduce_bool": _test("{0} != 0"),
    "$reduce_and": _test("{0} == {mask}"),
    "$mux": _mux,
    "$shl": _shift,
    "$shr": _shift,
    "$sshr": _shift_signed,
}


def translate(netlist: Netlist) -> Lane:
    """The module as the body of a loop.

    Raises:
        UnsupportedError: an output is not a register, or there is something that has no translation
            here.
    """
    return _Translator(netlist).lane()
