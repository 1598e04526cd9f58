"""C++ of ``DnaGroups``, which computes instances in loops beside the rest of the design.

Between two cycles

- ``gather`` copies what the inputs of instances see into arrays: from the registers of other
  instances in runs of as many as lie side by side, from the rest of the design only when it has
  changed;
- ``step`` computes all registers and gives the rest of the design those that it reads.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping

# A copy may run over so many places between two that it is for; what belongs there follows.
_BRIDGE = 2
_LINES = 250  # of a function
_Key = tuple[int, int, int]
NO_GROUPS = """
struct DnaGroups {
    explicit DnaGroups(cxxrtl_design::p_top &) {}
    void gather(cxxrtl_design::p_top &) {}
    void step(cxxrtl_design::p_top &) {}
};
"""
_HELPERS = """
#include <algorithm>
#include <cstring>
static inline uint64_t lane_bits(const uint32_t *data, unsigned low, unsigned width) {
    uint64_t value = data[low / 32] >> low % 32;
    for (unsigned have = 32 - low % 32; have < width; have += 32)
        value |= uint64_t(data[(low + have) / 32]) << have;
    return width < 64 ? value & ((uint64_t(1) << width) - 1) : value;
}
template<size_t Bits>
static inline void lane_set(cxxrtl::value<Bits> &pin, uint64_t value, unsigned width) {
    value = width < 64 ? value & ((uint64_t(1) << width) - 1) : value;
    for (size_t chunk = 0; chunk < pin.chunks; chunk++)
        pin.data[chunk] = uint32_t(value >> 32 * chunk);
}
"""


class Code:
    """The parts of ``DnaGroups``."""

    def __init__(self) -> None:
        self.members: list[str] = []
        self.setup: list[str] = []
        self.gather: list[str] = []
        self.changes: dict[str, list[str]] = defaultdict(list)
        self.step: list[str] = []
        self.publish: list[str] = []

    def text(self) -> str:
        """All of it, put together."""
        for pin, lines in self.changes.items():
            self.members.append(f"decltype(cxxrtl_design::p_top::{pin}) seen_{pin} = {{}};")
            changed = f"if (!(seen_{pin} == top.{pin})) {{\nseen_{pin} = top.{pin};"
            self.gather.append("\n".join([changed, *lines, "}"]))
        methods = {
            "explicit DnaGroups": [*_pieces(self.members, "set", self.setup), "publish(top);"],
            "void gather": _pieces(self.members, "gather", self.gather),
            "void step": [*self.step, "publish(top);"],
            "void publish": _pieces(self.members, "publish", self.publish),
        }
        lines = []
        for name, body in methods.items():
            lines += [f"{name}(cxxrtl_design::p_top &top) {{", *body, "}"]
        return "\n".join([_HELPERS, "struct DnaGroups {", *self.members, *lines, "};", ""])


def _pieces(members: list[str], name: str, lines: list[str]) -> list[str]:
    """Calls of functions that do what ``lines`` do: g++ takes ever longer for longer functions."""
    calls = []
    for number, start in enumerate(range(0, len(lines), _LINES)):
        members += [
            f"__attribute__((noinline)) void {name}_{number}(cxxrtl_design::p_top &top) {{",
            *lines[start : start + _LINES],
            "}",
        ]
        calls.append(f"{name}_{number}(top);")
    return calls


@dataclasses.dataclass
class Progression:
    """Places in equal steps, and what bits of a wire go there, in equal steps too."""

    place: int
    low: int
    width: int
    count: int = 1
    step: int = 0
    shift: int = 0

    def takes(self, place: int, low: int, width: int) -> bool:
        """Whether this goes on; the second place decides the steps."""
        step, shift = place - self.place, low - self.low
        if self.count == 1:
            self.step, self.shift = step, shift
        fits = (step, shift, width) == (
            self.step * self.count,
            self.shift * self.count,
            self.width,
        )
        self.count += fits
        return fits

    def code(self, array: str, element: str, data: str) -> str:
        """C++ that puts bits of ``data`` there."""
        if self.count == 1:
            value = f"lane_bits({data}, {self.low}, {self.width})"
            return f"{array}[{self.place}] = {element}({value});"
        value = f"lane_bits({data}, {self.low} + k * {self.shift}, {self.width})"
        return (
            f"for (int k = 0; k < {self.count}; k++) "
            f"{array}[{self.place} + k * {self.step}] = {element}({value});"
        )


def progressions(places: list[tuple[int, int, int]]) -> list[Progression]:
    """Places, each with the low bit and the width of what goes there, as few loops."""
    found: list[Progression] = []
    for place, low, width in sorted(places, key=lambda entry: (entry[2], entry[1], entry[0])):
        if not found or not found[-1].takes(place, low, width):
            found.append(Progression(place, low, width))
    return found


def runs(links: Mapping[int, _Key]) -> list[tuple[int, int, _Key]]:
    """Places from start to stop with the same key; a few in between may have none."""
    runs: list[tuple[int, int, _Key]] = []
    for place in sorted(links):
        if runs and runs[-1][2] == links[place] and place - runs[-1][1] <= _BRIDGE:
            runs[-1] = (runs[-1][0], place + 1, links[place])
        else:
            runs.append((place, place + 1, links[place]))
    return runs


def member(name: str) -> str:
    """What CXXRTL calls a wire; it doubles underscores."""
    return f"p_{name.replace('_', '__')}"
