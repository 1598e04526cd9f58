"""The longest paths of a netlist from register to register, in whatever its cells cost."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from sw.errors import DnaError

Bit = int | str
"""A net of one bit; constants are strings, as in Yosys' JSON."""
Arc = tuple[tuple[Bit, ...], Bit, float]
"""From any of some nets to one, at a cost."""


class CellTiming(msgspec.Struct, frozen=True):
    """How a cell stands in paths.

    Attributes:
        starts: outputs that a register or memory in the cell drives, and the cost from there.
        ends: inputs that one takes, the cost to there, and the pin.
        arcs: what goes through.
    """

    starts: tuple[tuple[Bit, float], ...] = ()
    ends: tuple[tuple[Bit, float, str], ...] = ()
    arcs: tuple[Arc, ...] = ()


CellModel = Callable[[str, Mapping[str, Any]], CellTiming]


class Netlist:
    """A flat module of Yosys' JSON.

    Args:
        module: it.
        model: type and content of a cell: what it costs.

    Attributes:
        drivers: of each net: the cell.
        cells: by name, as in the JSON.
    """

    def __init__(self, module: Mapping[str, Any], model: CellModel) -> None:
        self._module = module
        self.cells: Mapping[str, Any] = module["cells"]
        self.drivers: dict[int, str] = {}
        self._start: dict[int, float] = {}
        self._arcs: dict[int, list[tuple[tuple[int, ...], float]]] = defaultdict(list)
        self._ends: list[tuple[int, float, str, str]] = []
        for name, cell in self.cells.items():
            if cell["type"] == "$scopeinfo":
                continue
            timing = model(cell["type"], cell)
            for pin, bits in cell["connections"].items():
                if cell["port_directions"][pin] == "output":
                    self.drivers.update((bit, name) for bit in bits if isinstance(bit, int))
            for bit, cost in timing.starts:
                if isinstance(bit, int):
                    self._start[bit] = max(cost, self._start.get(bit, 0.0))
            for bit, cost, pin in timing.ends:
                if isinstance(bit, int):
                    self._ends.append((bit, cost, name, pin))
            for sources, bit, cost in timing.arcs:
                if isinstance(bit, int):
                    nets = tuple(source for source in sources if isinstance(source, int))
                    self._arcs[bit].append((nets, cost))

    def ports(self, way: str) -> Iterator[tuple[str, int, int]]:
        """Name, place and net of the bits of all ports that are ``way``, input or output."""
        for name, port in self._module["ports"].items():
            if port["direction"] == way:
                for place, bit in enumerate(port["bits"]):
                    if isinstance(bit, int):
                        yield name, place, bit

    def arrivals(self, inputs: Mapping[int, float], *, registers: bool = True) -> Arrivals:
        """The cost up to every net that a path reaches.

        Args:
            inputs: nets where paths come in, and what they have cost.
            registers: whether paths begin at the registers, too.
        """
        known: dict[int, tuple[float, int | None]] = {}
        if registers:
            known = {bit: (cost, None) for bit, cost in self._start.items()}
        for bit, cost in inputs.items():
            if bit not in known or known[bit][0] < cost:
                known[bit] = (cost, None)
        for bit in self._order:
            best = known.get(bit)
            for sources, cost in self._arcs[bit]:
                for source in sources:
                    if source in known:
                        there = known[source][0] + cost
                        if best is None or there > best[0]:
                            best = (there, source)
            if best is not None:
                known[bit] = best
        return Arrivals(known)

    def levels_behind(self) -> dict[int, float]:
        """Of every net: the cost of the longest path from it to a register."""
        behind: dict[int, float] = {}
        for bit, cost, _, _ in self._ends:
            behind[bit] = max(cost, behind.get(bit, 0.0))
        for bit in reversed(self._order):
            if bit in behind:
                for sources, cost in self._arcs[bit]:
                    for source in sources:
                        behind[source] = max(behind[bit] + cost, behind.get(source, 0.0))
        return behind

    def ends(self) -> Iterator[tuple[int, float, str, str]]:
        """Net, cost to the register, cell and pin of all ends of paths."""
        yield from self._ends

    @property
    def _order(self) -> list[int]:
        """The nets that cells drive through, each behind those that it depends on."""
        if not hasattr(self, "_ordered"):
            self._ordered = self._sort()
        return self._ordered

    def _sort(self) -> list[int]:
        order: list[int] = []
        state: dict[int, int] = {}
        for first in list(self._arcs):
            stack = [first]
            while stack:
                bit = stack[-1]
                if state.get(bit) == 2:
                    stack.pop()
                elif state.get(bit) == 1:
                    state[bit] = 2
                    order.append(bit)
                    stack.pop()
                else:
                    state[bit] = 1
                    for sources, _ in self._arcs[bit]:
                        for source in sources:
                            if source in self._arcs and state.get(source) != 2:
                                if state.get(source) == 1:
                                    raise DnaError(
                                        "the netlist has a loop of logic without a register, at "
                                        f"{self.drivers.get(source)!r}"
                                    )
                                stack.append(source)
        return order


class Arrivals:
    """What the longest path to each net costs, and where it comes from."""

    def __init__(self, known: Mapping[int, tuple[float, int | None]]) -> None:
        self._known = known

    def cost(self, bit: int) -> float | None:
        """Of the longest path to ``bit``; None if none reaches it."""
        found = self._known.get(bit)
        return None if found is None else found[0]

    def path(self, bit: int) -> tuple[int, ...]:
        """The nets of that path, the first one first."""
        nets, here = [], bit
        while True:
            nets.append(here)
            found = self._known.get(here)
            if found is None or found[1] is None:
                return tuple(reversed(nets))
            here = found[1]


_BIT = re.compile(r"\[\d+\]$")


class Names:
    """What nets are called in the sources.

    Args:
        module: of Yosys' JSON.
        registers: names that registers have there: they come before all others.
    """

    def __init__(self, module: Mapping[str, Any], registers: set[str]) -> None:
        self._of: dict[int, str] = {}
        rank: dict[int, tuple[int, int]] = {}
        for written, net in module["netnames"].items():
            if written.startswith("$"):
                continue
            name = written.removeprefix("\\")  # in front of a name of ours that begins with $
            value = (0 if name in registers else 1, -len(name))
            wide = len(net["bits"]) > 1
            for place, bit in enumerate(net["bits"]):
                if isinstance(bit, int) and (bit not in rank or value < rank[bit]):
                    rank[bit] = value
                    self._of[bit] = f"{name}[{place}]" if wide else name

    def of(self, bit: int) -> str | None:
        """The name of a net, with the place of the bit; None if the sources have none."""
        return self._of.get(bit)


def without_bit(name: str) -> str:
    """The name of the whole signal."""
    return _BIT.sub("", name)
