"""C++ of one step of a small module of registers, for all of its instances in one loop.

The module is RTLIL of Yosys' internal cells. A register's value lies in an array, one element for
each instance; all else is computed in the loop, which the compiler turns into vector instructions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from sim.rtl.fast.netlist import Cell, Netlist, UnsupportedError

_MAX_WIDTH = 64


def storage(width: int) -> str:
    """The type of an element that holds ``width`` bits."""
    return next(f"uint{bits}_t" for bits in (8, 16, 32, 64) if width <= bits)


@dataclasses.dataclass(frozen=True)
class Lane:
    """A module as the body of a loop over its instances, ``i``.

    Attributes:
        inputs: width of each input but the clock; in the body, the array ``in_NUMBER``.
        registers: width and initial value of each register by name; in the body, ``r_NUMBER``.
        outputs: the number of the register behind each output.
        clock: the input that is the clock.
        body: reads and writes element ``i`` of the arrays.
    """

    inputs: dict[str, int]
    registers: dict[str, tuple[int, int]]
    outputs: dict[str, int]
    clock: str
    body: str


class _Translator:
    def __init__(self, netlist: Netlist) -> None:
        self._netlist = netlist
        if max(wire.width for wire in netlist.wires.values()) > _MAX_WIDTH:
            raise UnsupportedError("wide wires")
        self._bits = 32 if max(wire.width for wire in netlist.wires.values()) <= 32 else 64
        self._lines: list[str] = []
        self._done: dict[str, str] = {}
        self._open: set[str] = set()
        self._drivers: dict[str, Cell | str] = {}
        self._flipflops: list[tuple[str, Cell]] = []
        for cell in netlist.cells:
            if cell.kind == "$scopeinfo":
                continue
            if cell.kind == "$dff":
                self._flipflops.append((self._whole(cell.ports["\\Q"]), cell))
            elif cell.kind in _CELLS:
                self._drivers[self._whole(cell.ports["\\Y"])] = cell
            else:
                raise UnsupportedError(cell.kind)
        for left, right in netlist.connections:
            self._drivers[self._whole(left)] = right

    def lane(self) -> Lane:
        netlist = self._netlist
        if not self._flipflops:
            raise UnsupportedError("no registers")
        clocks = {cell.ports["\\CLK"].split()[0] for _, cell in self._flipflops}
        polarities = {cell.parameters["\\CLK_POLARITY"][-1] for _, cell in self._flipflops}
        if len(clocks) != 1 or polarities != {"1"}:
            raise UnsupportedError("clocks")
        clock = clocks.pop()
        inputs = {
            name: wire.width
            for name, wire in netlist.wires.items()
            if wire.direction == "input" and name != clock
        }
        for number, (name, width) in enumerate(inputs.items()):
            self._done[name] = self._variable(width, f"in_{number}[i]")
        numbers = {}
        for number, (name, _) in enumerate(self._flipflops):
            numbers[name] = number
            self._done[name] = self._variable(netlist.wires[name].width, f"r_{number}[i]")
        for number, (_, cell) in enumerate(self._flipflops):
            value = self.read(cell.ports["\\D"])
            self._lines.append(f"const T n_{number} = {value};")
        for name, number in numbers.items():
            self._lines.append(f"r_{number}[i] = {storage(netlist.wires[name].width)}(n_{number});")
        outputs = {
            name: numbers[self._origin(name)]
            for name, wire in netlist.wires.items()
            if wire.direction == "output"
        }
        registers = {
            name: (netlist.wires[name].width, netlist.wires[name].init) for name in numbers
        }
        body = "\n".join([f"typedef uint{self._bits}_t T;", *self._lines])
        return Lane(inputs, registers, outputs, clock, body)

    def _origin(self, name: str) -> str:
        """The register that ``name`` is an alias of."""
        driver = self._drivers.get(name)
        if isinstance(driver, str):
            return self._origin(self._whole(driver))
        if not any(name == register for register, _ in self._flipflops):
            raise UnsupportedError("an output that is not a register")
        return name

    def _whole(self, signal: str) -> str:
        chunks = self._netlist.chunks(signal)
        if len(chunks) != 1 or not chunks[0].wire or chunks[0].low:
            raise UnsupportedError(f"drives {signal}")
        name = chunks[0].wire
        if chunks[0].width != self._netlist.wires[name].width or name in self._drivers:
            raise UnsupportedError(f"drives {signal}")
        return name

    def _variable(self, width: int, value: str) -> str:
        name = f"v_{len(self._lines)}"
        self._lines.append(f"const T {name} = {value};  // {width} bits")
        return name

    def _wire(self, name: str) -> str:
        if name in self._done:
            return self._done[name]
        if name in self._open or name not in self._drivers:
            raise UnsupportedError(f"{name} is in a loop or has no driver")
        self._open.add(name)
        driver, width = self._drivers[name], self._netlist.wires[name].width
        value = self.read(driver) if isinstance(driver, str) else _CELLS[driver.kind](self, driver)
        self._done[name] = self._variable(width, f"({value}) & {self.mask(width)}")
        return self._done[name]

    def mask(self, width: int) -> str:
        return f"T({(1 << width) - 1:#x}ull)"

    def width(self, signal: str) -> int:
        return sum(chunk.width for chunk in self._netlist.chunks(signal))

    def read(self, signal: str) -> str:
        """The value of a signal, zeros above its width."""
        parts, position = [], 0
        for chunk in self._netlist.chunks(signal):
            if position + chunk.width > self._bits:
                raise UnsupportedError("wide signals")
            if chunk.wire:
                part = self._wire(chunk.wire)
                if chunk.low:
                    part = f"{part} >> {chunk.low}"
                if chunk.low + chunk.width < self._netlist.wires[chunk.wire].width:
                    part = f"({part} & {self.mask(chunk.width)})"
            else:
                part = f"T({chunk.value:#x}ull)"
            parts.append(f"({part}) << {position}" if position else part)
            position += chunk.width
        return "(" + " | ".join(f"({part})" for part in parts) + ")"

    def extended(self, cell: Cell, port: str, *, signed: bool) -> str:
        """The value of a port, sign-extended to the whole of T if ``signed``."""
        value, width = self.read(cell.ports[port]), self.width(cell.ports[port])
        if not signed or width == self._bits:
            return value
        if width in (8, 16, 32):
            return f"T(int{self._bits}_t(int{width}_t({value})))"
        shift = self._bits - width
        return f"T(int{self._bits}_t({value} << {shift}) >> {shift})"

    def signed(self, cell: Cell) -> bool:
        names = ("\\A_SIGNED", "\\B_SIGNED")
        return all(cell.parameters[n][-1] == "1" for n in names if n in cell.parameters)

    @property
    def signed_type(self) -> str:
        return f"int{self._bits}_t"


def _binary(operator: str) -> Callable[[_Translator, Cell], str]:
    """Cells whose operands are extended to the width of the result."""

    def code(self: _Translator, cell: Cell) -> str:
        signed = self.signed(cell)
        left, right = (self.extended(cell, port, signed=signed) for port in ("\\A", "\\B"))
        return f"{left} {operator} {right}"

    return code


def _compare(operator: str) -> Callable[[_Translator, Cell], str]:
    """Cells whose operands are extended to the wider of the two."""

    def code(self: _Translator, cell: Cell) -> str:
        signed = self.signed(cell)
        kind = self.signed_type if signed else "T"
        left, right = (self.extended(cell, port, signed=signed) for port in ("\\A", "\\B"))
        return f"T({kind}({left}) {operator} {kind}({right}))"

    return code


def _unary(form: str) -> Callable[[_Translator, Cell], str]:
    def code(self: _Translator, cell: Cell) -> str:
        return form.format(self.extended(cell, "\\A", signed=self.signed(cell)))

    return code


def _test(form: str) -> Callable[[_Translator, Cell], str]:
    """Cells that give one bit and see no sign."""

    def code(self: _Translator, cell: Cell) -> str:
        names = [self.read(cell.ports[port]) for port in ("\\A", "\\B") if port in cell.ports]
        return form.format(*names, mask=self.mask(self.width(cell.ports["\\A"])))

    return code


def _mux(self: _Translator, cell: Cell) -> str:
    chosen, other, select = (self.read(cell.ports[port]) for port in ("\\B", "\\A", "\\S"))
    return f"{select} ? {chosen} : {other}"


_CELLS: dict[str, Callable[[_Translator, Cell], str]] = {
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
    "$logic_not": _test("T({0} == 0)"),
    "$logic_and": _test("T({0} != 0 && {1} != 0)"),
    "$logic_or": _test("T(({0} | {1}) != 0)"),
    "$reduce_or": _test("T({0} != 0)"),
    "$reduce_bool": _test("T({0} != 0)"),
    "$reduce_and": _test("T({0} == {mask})"),
    "$mux": _mux,
}


def translate(netlist: Netlist) -> Lane:
    """The module as the body of a loop.

    Raises:
        UnsupportedError: an output is not a register, or there is something that has no translation
            here.
    """
    return _Translator(netlist).lane()
