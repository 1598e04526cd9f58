"""A netlist of library cells: buffers for what drives much, and Verilog that OpenSTA reads.

OpenSTA of 2019 reads neither signed ports nor concatenations in assignments, and goes on after an
error with connections missing: nets and cells get plain names here, one bit each, and nothing is
assigned.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from harness.hardware.timing.cells.liberty import Cell, Library
from sw.errors import DnaError

_OTHER = re.compile(r"\W")
FAN_OUT = 16
"""Inputs that a net drives without buffers."""
DRIVES = 2.0
"""A register whose load is more than so many inputs of the buffer has that buffer behind it."""

Pin = tuple[str, str]
"""Cell and pin."""


@dataclasses.dataclass
class Gate:
    """An instance: its type and the net of each pin; constants are strings."""

    kind: str
    pins: dict[str, int | str]


class Gates:
    """A flat netlist.

    Args:
        module: of Yosys' JSON.
        library: of its cells.
        others: cells that are not in the library, such as memories.

    Attributes:
        gates: the instances by plain names.
        sources: what each is called in the JSON.
        clock: the net of the clock.
        ports: plain name of the port: its net, and whether it is an input.
    """

    def __init__(
        self, module: Mapping[str, Any], library: Library, others: Mapping[str, Cell]
    ) -> None:
        self._library = library
        self._cells = {**library.cells, **others}
        self.gates: dict[str, Gate] = {}
        self.sources: dict[str, str] = {}
        self._borders: dict[str, tuple[str, int, bool]] = {}
        for number, (name, content) in enumerate(module["cells"].items()):
            if content["type"] == "$scopeinfo":
                continue
            cell = f"c{number}"
            self.sources[cell] = name
            self.gates[cell] = Gate(plain(content["type"]), dict(_pins(content["connections"])))
            if plain(content["type"]) not in self._cells:
                raise DnaError(
                    f"{content['type']} is in the netlist, but not in {library.name}: the library "
                    "lacks a kind of cell that the machine needs"
                )
        self._next = max(
            (bit for g in self.gates.values() for bit in g.pins.values() if isinstance(bit, int)),
            default=0,
        )
        ports = module["ports"]
        self.clock = int(ports["clk"]["bits"][0]) if "clk" in ports else None
        self.ports: dict[str, tuple[int, bool]] = {}
        self._by_port: dict[tuple[str, int], int] = {}
        for name, port in ports.items():
            for place, bit in enumerate(port["bits"]):
                if isinstance(bit, int):
                    self._by_port[name, place] = bit
                    self._next = max(self._next, bit)
                    if port["direction"] == "input":
                        self.ports[f"p{len(self.ports)}"] = (bit, True)

    def direction(self, gate: str, pin: str) -> str:
        """Of a pin: input or output."""
        return self._cells[self.gates[gate].kind].ways[pin]

    def is_clocked(self, gate: str) -> bool:
        """Whether it is a register or a memory."""
        return bool(self._cells[self.gates[gate].kind].clocks)

    def area(self, gate: str) -> float:
        """In the library's unit."""
        return self._cells[self.gates[gate].kind].area

    def register_borders(self, closed: list[list[str | int]]) -> None:
        """Put a register of the library at the bits of ports (name, place) that have one outside.

        Raises:
            DnaError: the netlist has no plain register to take the kind of.
        """
        if not closed or self.clock is None:
            return
        kind, data, clock, out = self._register()
        for port, place in closed:
            bit = self._by_port.get((str(port), int(place)))
            if bit is None or bit == self.clock:
                continue
            driven = any(net == bit and way for net, way in self.ports.values())
            pins: dict[str, int | str] = {clock: self.clock}
            if driven:
                self.ports = {k: v for k, v in self.ports.items() if v[0] != bit}
                pins |= {data: "0", out: bit}
            else:
                pins |= {data: bit, out: self._net()}
            name = f"b{len(self.sources)}"
            self.gates[name] = Gate(kind, pins)
            self.sources[name] = f"{port}[{place}] outside"
            self._borders[f"{name}/{out if driven else data}"] = (str(port), int(place), driven)

    def crosses(self) -> bool:
        """Whether logic leads from a port to a port, both with registers at the border."""
        readers: dict[int | str, list[str]] = defaultdict(list)
        for name, gate in self.gates.items():
            for pin, bit in gate.pins.items():
                if self.direction(name, pin) == "input" and bit != self.clock:
                    readers[bit].append(name)
        wanted = [name for name in self.gates if name.startswith("b")]
        seen: set[str] = set()
        while wanted:
            name = wanted.pop()
            for pin, bit in self.gates[name].pins.items():
                if self.direction(name, pin) == "output":
                    for reader in readers.get(bit, ()):
                        if reader.startswith("b"):
                            return True
                        if reader not in seen and not self.is_clocked(reader):
                            seen.add(reader)
                            wanted.append(reader)
        return False

    def borders(self) -> dict[str, tuple[str, int, bool]]:
        """By pin (``cell/pin``) of a register outside: port and place, and whether of an input."""
        return dict(self._borders)

    def _register(self) -> tuple[str, str, str, str]:
        """Type of the register that the netlist has most of; its pins for data, clock, output."""
        kinds = Counter(gate.kind for gate in self.gates.values())
        for kind, _ in kinds.most_common():
            cell = self._library.cells.get(kind)
            if cell is None or len(cell.clocks) != 1:
                continue
            ins = [pin for pin, way in cell.ways.items() if way == "input"]
            outs = [pin for pin in ("Q", *cell.ways) if cell.ways.get(pin) == "output"]
            if len(ins) == 2 and outs:
                (clock,) = cell.clocks
                return kind, next(pin for pin in ins if pin != clock), clock, outs[0]
        raise DnaError(f"the netlist has no register of {self._library.name} with two inputs")

    def buffer(self) -> int:
        """Put trees of buffers on nets that drive more than :data:`FAN_OUT`; how many buffers.

        A register that drives much has one behind it: abc neither sizes registers nor buffers them,
        and is told that such a buffer drives its inputs.
        """
        into, _ = self._buffer_pins()
        strong = DRIVES * self._library.buffer.loads.get(into, 0.0)
        driven = {
            bit
            for name, gate in self.gates.items()
            if gate.kind in self._library.cells and self.is_clocked(name)
            for pin, bit in gate.pins.items()
            if self.direction(name, pin) == "output"
        }
        before = len(self.gates)
        for net, taking in self._sinks().items():
            while len(taking) > FAN_OUT:
                groups = [taking[i : i + FAN_OUT] for i in range(0, len(taking), FAN_OUT)]
                taking = [self._buffered(net, group) for group in groups]
            if net in driven and sum(self._load(*pin) for pin in taking) > strong:
                self._buffered(net, taking)
        return len(self.gates) - before

    def _sinks(self) -> dict[int, list[Pin]]:
        """By net, the inputs that it drives, but for the clock."""
        sinks: dict[int, list[Pin]] = defaultdict(list)
        for name, gate in self.gates.items():
            for pin, bit in gate.pins.items():
                if (
                    isinstance(bit, int)
                    and bit != self.clock
                    and self.direction(name, pin) == "input"
                ):
                    sinks[bit].append((name, pin))
        return sinks

    def _load(self, gate: str, pin: str) -> float:
        """Of an input, in the library's unit; 0 of a cell that is not the library's."""
        return self._cells[self.gates[gate].kind].loads.get(pin, 0.0)

    def _buffer_pins(self) -> Pin:
        """Input and output of the buffer."""
        ways = self._library.buffer.ways
        (into,) = (pin for pin, way in ways.items() if way == "input")
        (out,) = (pin for pin, way in ways.items() if way == "output")
        return into, out

    def _buffered(self, net: int, taking: list[Pin]) -> Pin:
        """Put a buffer between a net and some of its inputs; the buffer's own input."""
        into, out = self._buffer_pins()
        behind = self._net()
        for name, pin in taking:
            self.gates[name].pins[pin] = behind
        buffer = f"t{len(self.gates)}"
        self.gates[buffer] = Gate(self._library.buffer.name, {into: net, out: behind})
        self.sources[buffer] = f"buffer of {net}"
        return buffer, into

    def _net(self) -> int:
        self._next += 1
        return self._next

    def verilog(self, top: str) -> str:
        """The netlist; its ports are inputs only: what reads outputs is nothing to the clock."""
        nets = {
            bit
            for gate in self.gates.values()
            for bit in gate.pins.values()
            if isinstance(bit, int)
        }
        inputs = {bit: name for name, (bit, _) in self.ports.items()}
        names = {bit: inputs.get(bit, f"n{bit}") for bit in nets | set(inputs)}
        lines = [f"module {top} ({', '.join(self.ports)});"]
        lines += [f"  input {name};" for name in self.ports]
        lines += [f"  wire {names[bit]};" for bit in nets if bit not in inputs]
        for name, gate in self.gates.items():
            pins = ", ".join(
                f".{pin}({names[bit] if isinstance(bit, int) else _literal(bit)})"
                for pin, bit in gate.pins.items()
            )
            lines.append(f"  {gate.kind} {name} ({pins});")
        return "\n".join([*lines, "endmodule", ""])

    def clock_port(self) -> str | None:
        """The plain name of the clock's port."""
        return next((name for name, (bit, _) in self.ports.items() if bit == self.clock), None)


def _pins(connections: Mapping[str, list[int | str]]) -> list[tuple[str, int | str]]:
    """Pins of one bit each: those of wider ports with their place behind an underscore."""
    return [
        (plain(pin if len(bits) == 1 else f"{pin}_{place}"), bit)
        for pin, bits in connections.items()
        for place, bit in enumerate(bits)
    ]


def plain(name: str) -> str:
    """A name that OpenSTA reads in Verilog and in a Liberty file."""
    return _OTHER.sub("_", name)


def _literal(bit: str) -> str:
    return "1'b1" if bit == "1" else "1'b0"
