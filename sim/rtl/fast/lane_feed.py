"""C++ of ``DnaGroups``, which computes instances in loops beside the rest of the design.

Between two cycles

- ``gather`` copies what the inputs of instances see into arrays: from the registers of other
  instances in runs of as many as lie side by side, from the rest of the design what has changed;
- ``step`` computes all registers and gives the rest of the design those that it reads.

Both leave out kinds of instances for which nothing has changed.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

# A copy may run over so many places between two that it is for; what belongs there follows.
_BRIDGE = 8
_LINES = 250  # of a function
IN, OUT = "lane_in_", "lane_out_"
"""What the names of pins begin with that go to loops and come from them."""
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
#include "lane_values.h"
static inline uint64_t lane_bits(const uint32_t *data, unsigned low, unsigned width) {
    uint64_t value = data[low / 32] >> low % 32;
    for (unsigned have = 32 - low % 32; have < width; have += 32)
        value |= uint64_t(data[(low + have) / 32]) << have;
    return width < 64 ? value & ((uint64_t(1) << width) - 1) : value;
}
// Whether that changes anything.
template<class T> static inline bool lane_copy(T *to, const T *from, size_t count) {
    const bool changed = std::memcmp(to, from, count * sizeof(T)) != 0;
    std::memcpy(to, from, count * sizeof(T));
    return changed;
}
template<size_t Bits>
static inline uint32_t lane_set(cxxrtl::value<Bits> &pin, uint64_t value, unsigned width) {
    value = width < 64 ? value & ((uint64_t(1) << width) - 1) : value;
    uint32_t changed = 0;
    for (size_t chunk = 0; chunk < pin.chunks; chunk++) {
        changed |= pin.data[chunk] ^ uint32_t(value >> 32 * chunk);
        pin.data[chunk] = uint32_t(value >> 32 * chunk);
    }
    return changed;
}
"""


class Code:
    """The parts of ``DnaGroups``, by number of the kind of instances.

    Args:
        told: whether the design tells which of its pins have changed, and wants to be told.
    """

    def __init__(self, told: bool) -> None:
        self.members: list[str] = []
        self.setup: list[str] = []
        self.step: list[str] = []
        self._told = told
        self._gather: dict[int, list[str]] = defaultdict(list)
        self._changes: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        self._sources: dict[int, set[str]] = defaultdict(set)
        self._looks: dict[int, set[str]] = defaultdict(set)
        self._publish: dict[int, list[str]] = defaultdict(list)

    def gather(
        self, kind: int, lines: list[str], kinds: Iterable[int], pins: Iterable[str]
    ) -> None:
        """Feed instances what registers of other kinds, and pins, have."""
        self._gather[kind] += lines
        self._sources[kind] |= {f"moved_{each}" for each in kinds}
        self._sources[kind] |= {self._fed(pin) for pin in pins}

    def gather_copy(self, kind: int, copied: str, source: int) -> None:
        """Feed instances what registers of a kind have, and see whether that is something else.

        Args:
            kind: of the instances.
            copied: from where, to where and how many.
            source: the other kind.
        """
        self._gather[kind].append(f"fresh_{kind} |= lane_copy({copied});")
        self._looks[kind].add(f"moved_{source}")

    def gather_changes(self, kind: int, lines: list[str], pin: str) -> None:
        """Feed instances what a pin has, and nothing else writes there."""
        self._changes[kind][pin] += lines
        self._sources[kind].add(self._fed(pin))

    def publish(self, kind: int, pin: str, value: str, width: int) -> None:
        """Give the design a register of an instance."""
        changed = f"lane_set(top.{pin}, {value}, {width})"
        self._publish[kind].append(f"top.tell_{pin}({changed});" if self._told else f"{changed};")

    def _fed(self, pin: str) -> str:
        return f"top.fed_{pin}()" if self._told else "true"

    def text(self) -> str:
        """All of it, put together."""
        gather, publish = [], []
        for kind in sorted(self._sources.keys() | self._looks.keys()):
            sources, looks = self._sources[kind], self._looks[kind]
            lines = self._gather[kind]
            for pin, changes in self._changes[kind].items():
                lines.append("\n".join([f"if ({self._fed(pin)}) {{", *changes, "}"]))
            self.members.append(f"bool fresh_{kind} = true;")
            calls = _pieces(self.members, f"gather_{kind}", lines)
            gather += [
                f"fresh_{kind} = {' | '.join(sorted(sources)) or 'false'};",
                f"if ({' | '.join([f'fresh_{kind}', *sorted(looks)])}) {{",
                *calls,
                "}",
            ]
        if self._told:
            gather.append("top.take_fed();")
        for kind, lines in sorted(self._publish.items()):
            calls = _pieces(self.members, f"publish_{kind}", lines)
            self.members += [f"void publish_{kind}(cxxrtl_design::p_top &top) {{", *calls, "}"]
            publish.append(f"publish_{kind}(top);")
        methods = {
            "explicit DnaGroups": [*_pieces(self.members, "set", self.setup), *publish],
            "void gather": gather,
            "void step": self.step,
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
    """Places from start to stop with the same key, in the order in which they are to be copied.

    Those of the key that most places have may run over a few in between, which have no key or
    follow.
    """
    counts = Counter(links.values())
    most = max(counts, key=counts.__getitem__, default=None)
    found: dict[_Key, list[tuple[int, int, _Key]]] = {key: [] for key in counts}
    for place in sorted(links):
        key = links[place]
        mine = found[key]
        if mine and place - mine[-1][1] <= (_BRIDGE if key == most else 0):
            mine[-1] = (mine[-1][0], place + 1, key)
        else:
            mine.append((place, place + 1, key))
    first = found.pop(most) if most is not None else []
    return first + sorted(run for runs in found.values() for run in runs)


def member(name: str) -> str:
    """What CXXRTL calls a wire; it doubles underscores."""
    return f"p_{name.replace('_', '__')}"
