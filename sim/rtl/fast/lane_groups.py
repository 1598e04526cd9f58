"""Takes equal small modules out of a design, to compute all instances of each in one loop.

A systolic array is hundreds of equal cells whose outputs are all registers. Flattened, each is
twenty statements that the compiler must read and the processor must execute one by one. Instead a
kind of module that has :data:`MIN_INSTANCES` and that :mod:`sim.rtl.fast.lane_code` can translate
stays out of the design: its instances become ports, and their registers arrays. Between two cycles

- ``gather`` copies what their inputs see into arrays: from the registers of other instances in
  runs of as many as lie side by side, from the rest of the design only when it has changed;
- ``step`` computes all registers and gives the rest of the design those that it reads.

Only an output that follows from the inputs without a register in between would need another
order, and a module with one is left alone.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

from sim.rtl.fast.lane_code import Chunk, Lane, UnsupportedError, parse, storage, translate

MIN_INSTANCES = 8
_MODULE = re.compile(r"^module (\S+)\n(.*?)^end$", re.MULTILINE | re.DOTALL)
_SCRIPT = """\
proc
opt_expr
opt_merge
opt_muxtree
opt_reduce -full
opt_expr -mux_undef -undriven -mux_bool
opt_clean -purge
write_rtlil
"""
# A copy may run over so many places between two that it is for; what belongs there follows.
_BRIDGE = 2
_Key = tuple[int, int, int]
_NAME = re.compile(r"[\\$][^\s{}]+")
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


@dataclasses.dataclass(frozen=True)
class Kind:
    """A module and all that are equal to it."""

    lane: Lane
    modules: frozenset[str]


@dataclasses.dataclass(frozen=True)
class _Output:
    """A register of an instance."""

    kind: int
    register: int
    instance: int
    width: int
    low: int  # of the bit of the register that is the wire's first


def find_kinds(text: str, yosys: Callable[[str, str], str]) -> list[Kind]:
    """The kinds of modules in a hierarchical design to take out of it.

    Args:
        text: RTLIL of the design.
        yosys: runs a script on RTLIL and returns what it prints.
    """
    equal: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for name, body in _MODULE.findall(text):
        if not re.search(r"^  (?:cell \\|memory )", body, re.MULTILINE):
            equal[_digest(body)].append((name, body))
    candidates = {
        members[0][0]: members for members in equal.values() if len(members) >= MIN_INSTANCES
    }
    if not candidates:
        return []
    design = "\n".join(_representative(members) for members in candidates.values())
    kinds = []
    for name, body in _MODULE.findall(yosys(design, _SCRIPT)):
        try:
            lane = translate(parse(body))
        except UnsupportedError:
            continue
        kinds.append(Kind(lane, frozenset(member for member, _ in candidates[name])))
    return kinds


def _wire(line: str) -> tuple[str, str]:
    """A wire's line without its being a port, and what port it is."""
    way = re.search(r" (input|output) \d+ ", line)
    return re.sub(r" (?:input|output) \d+ +", " ", line), way[1] if way else ""


def _digest(body: str) -> str:
    """Equal for modules that differ in nothing but which wires can be seen from outside."""
    wires, rest, init = [], [], ""
    for line in map(str.strip, body.split("\n")):
        if line.startswith("attribute \\init"):
            init = line
        elif line.startswith("wire"):
            plain, way = _wire(line)
            wires.append(f"{init}{plain}{way if way == 'input' else ''}")
            init = ""
        elif line and not line.startswith("attribute"):
            rest.append(line)
    return hashlib.sha256("\n".join([*sorted(wires), *rest]).encode()).hexdigest()


def _representative(members: list[tuple[str, str]]) -> str:
    """One of equal modules, with the outputs of all of them."""
    outputs = set()
    for _, body in members:
        for line in body.split("\n"):
            if _wire(line)[1] == "output":
                outputs.add(line.split()[-1])
    name, body = members[0]
    lines, ports = [], 0
    for line in body.split("\n"):
        if line.startswith("  wire"):
            plain, way = _wire(line)
            words = plain.split()
            way = way or ("output" if words[-1] in outputs else "")
            ports += bool(way)
            signed = " signed" if "signed" in words else ""
            width = f" width {words[words.index('width') + 1]}" if "width" in words else ""
            line = f"  wire{width}{f' {way} {ports}' if way else ''}{signed} {words[-1]}"
        lines.append(line)
    return "\n".join([f"module {name}", *lines, "end"])


def hide(text: str, kinds: Iterable[Kind]) -> str:
    """The design with nothing inside the modules of ``kinds``, which ``flatten`` then leaves."""
    hidden = {name for kind in kinds for name in kind.modules}

    def empty(found: re.Match[str]) -> str:
        name, body = found.groups()
        if name not in hidden:
            return found[0]
        ports = [line for line in body.split("\n") if line.startswith("  wire") and _wire(line)[1]]
        return "\n".join(["attribute \\blackbox 1", f"module {name}", *ports, "end"])

    return _MODULE.sub(empty, text)


class Groups:
    """The instances in a flat design.

    Args:
        text: RTLIL of the flat design, with the instances as cells.
        kinds: what they are instances of.

    Attributes:
        text: the design without them, with ports in their stead.
    """

    def __init__(self, text: str, kinds: list[Kind]) -> None:
        self._kinds = kinds
        lines, cells = _take_cells(
            text, {m: n for n, kind in enumerate(kinds) for m in kind.modules}
        )
        self._wires = parse("\n".join(line for line in lines if line.startswith("  wire")))
        self._members = [
            [ports for _, ports in sorted(found, key=lambda cell: _natural(cell[0]))]
            for found in cells
        ]
        self._outputs = dict(self._driven())
        used = {name for line in lines if "connect" in line for name in _NAME.findall(line)}
        self._published = sorted(used & self._outputs.keys())
        self._pins: dict[str, str] = {}
        for number, name in enumerate(self._published):
            self._pins[name] = f"lane_out_{number}"
        self._inputs = [
            [[self._seen(ports[port]) for ports in members] for port in kind.lane.inputs]
            for kind, members in zip(kinds, self._members, strict=True)
        ]
        self.text = "\n".join(self._with_ports(lines))

    def _driven(self) -> Iterator[tuple[str, _Output]]:
        """The wires that instances drive."""
        for number, (kind, members) in enumerate(zip(self._kinds, self._members, strict=True)):
            for index, ports in enumerate(members):
                if self._wires.chunks(ports[kind.lane.clock])[0].wire != "\\clk":
                    raise RuntimeError("an instance has a clock of its own")
                for port, register in kind.lane.outputs.items():
                    if port not in ports:
                        continue
                    width = kind.lane.registers[register][0]
                    position = 0
                    for chunk in self._wires.chunks(ports[port]):
                        if chunk.low or chunk.width != self._wires.wires[chunk.wire].width:
                            raise RuntimeError(f"an instance drives a part of {chunk.wire}")
                        yield chunk.wire, _Output(number, register, index, width, position)
                        position += chunk.width

    def _seen(self, signal: str) -> tuple[Chunk, ...]:
        """What an input sees; what is of the rest of the design gets a pin."""
        chunks = tuple(self._wires.chunks(signal))
        for chunk in chunks:
            if chunk.wire and chunk.wire not in self._outputs:
                self._pins.setdefault(chunk.wire, f"lane_in_{len(self._pins)}")
        return chunks

    def _with_ports(self, lines: list[str]) -> Iterator[str]:
        """The design with ports for what goes to the instances and comes from them."""
        first = sum(bool(wire.direction) for wire in self._wires.wires.values()) + 1
        for line in lines:
            if line == "end":
                for name, pin in self._pins.items():
                    left, right = f"\\{pin}", name
                    if name in self._outputs:
                        left, right = right, left
                    yield f"  connect {left} {right}"
            yield line
            if line.startswith("module "):
                for number, (name, pin) in enumerate(self._pins.items(), first):
                    way = "input" if name in self._outputs else "output"
                    yield f"  wire width {self._wires.wires[name].width} {way} {number} \\{pin}"

    def code(self) -> str:
        """C++ of ``DnaGroups``."""
        code = _Code()
        for number, (kind, inputs) in enumerate(zip(self._kinds, self._inputs, strict=True)):
            count = len(self._members[number])
            for port, width in enumerate(kind.lane.inputs.values()):
                array = f"in_{number}_{port}"
                code.members.append(f"{storage(width)} {array}[{max(count, 1)}] = {{}};")
                self._feed(code, array, storage(width), inputs[port])
            arrays = [f"auto *in_{n} = in_{number}_{n};" for n in range(len(kind.lane.inputs))]
            for register, (width, init) in enumerate(kind.lane.registers):
                array = f"r_{number}_{register}"
                code.members.append(f"{storage(width)} {array}[{max(count, 1)}];")
                code.setup.append(f"std::fill_n({array}, {count}, {init:#x}ull);")
                arrays.append(f"auto *r_{register} = {array};")
            code.step += [
                "{",
                *arrays,
                "#pragma GCC ivdep",
                f"for (int i = 0; i < {count}; i++) {{",
            ]
            code.step += [kind.lane.body, "}", "}"]
        for name in self._published:
            output, width = self._outputs[name], self._wires.wires[name].width
            value = f"uint64_t(r_{output.kind}_{output.register}[{output.instance}])"
            code.publish.append(
                f"lane_set(top.{_member(self._pins[name])}, {value} >> {output.low}, {width});"
            )
        return code.text()

    def _feed(self, code: _Code, array: str, element: str, seen: list[tuple[Chunk, ...]]) -> None:
        """Give an input of all instances what they see."""
        links: dict[int, tuple[int, int, int]] = {}  # kind, register, distance
        for place, chunks in enumerate(seen):
            output = self._outputs.get(chunks[0].wire)
            if len(chunks) == 1 and output and chunks[0].width == output.width:
                links[place] = (output.kind, output.register, output.instance - place)
        covered: set[int] = set()
        for start, stop, (kind, register, distance) in _runs(links):
            covered.update(range(start, stop))
            code.gather.append(
                f"std::memcpy({array} + {start}, r_{kind}_{register} + {start + distance}, "
                f"{stop - start} * sizeof({element}));"
            )
        simple: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
        for place, chunks in enumerate(seen):
            wire = chunks[0].wire
            if place in links:
                continue
            if len(chunks) == 1 and wire and wire not in self._outputs:
                simple[wire].append((place, chunks[0].low, chunks[0].width))
                continue
            value, constant = self._joined(chunks)
            target = code.setup if constant else code.gather
            target.append(f"{array}[{place}] = {element}({value});")
        for wire, places in simple.items():
            pin = _member(self._pins[wire])
            data = f"top.{pin}.data"
            lines = [run.code(array, element, data) for run in _progressions(places)]
            fresh = covered.isdisjoint(place for place, *_ in places)
            (code.changes[pin] if fresh else code.gather).extend(lines)

    def _joined(self, chunks: tuple[Chunk, ...]) -> tuple[str, bool]:
        """The value of several chunks, and whether it never changes."""
        parts, position = [], 0
        for chunk in chunks:
            if not chunk.wire:
                part = f"{chunk.value:#x}ull"
            elif chunk.wire in self._outputs:
                output = self._outputs[chunk.wire]
                part = f"uint64_t(r_{output.kind}_{output.register}[{output.instance}])"
                low, mask = output.low + chunk.low, (1 << chunk.width) - 1
                part = f"({part} >> {low} & {mask:#x}ull)"
            else:
                pin = _member(self._pins[chunk.wire])
                part = f"lane_bits(top.{pin}.data, {chunk.low}, {chunk.width})"
            parts.append(f"{part} << {position}")
            position += chunk.width
        return " | ".join(parts), not any(chunk.wire for chunk in chunks)


class _Code:
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
            self.gather.append(f"if (!(seen_{pin} == top.{pin})) {{\nseen_{pin} = top.{pin};")
            self.gather += [*lines, "}"]
        methods = {
            "explicit DnaGroups": [*self.setup, "publish(top);"],
            "void gather": self.gather,
            "void step": [*self.step, "publish(top);"],
            "void publish": self.publish,
        }
        lines = []
        for name, body in methods.items():
            lines += [f"{name}(cxxrtl_design::p_top &top) {{", *body, "}"]
        return "\n".join([_HELPERS, "struct DnaGroups {", *self.members, *lines, "};", ""])


@dataclasses.dataclass
class _Progression:
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


def _progressions(places: list[tuple[int, int, int]]) -> list[_Progression]:
    """Places, each with the low bit and the width of what goes there, as few loops."""
    found: list[_Progression] = []
    for place, low, width in sorted(places, key=lambda entry: (entry[2], entry[1], entry[0])):
        if not found or not found[-1].takes(place, low, width):
            found.append(_Progression(place, low, width))
    return found


def _runs(links: Mapping[int, _Key]) -> list[tuple[int, int, _Key]]:
    """Places from start to stop with the same key; a few in between may have none."""
    runs: list[tuple[int, int, _Key]] = []
    for place in sorted(links):
        if runs and runs[-1][2] == links[place] and place - runs[-1][1] <= _BRIDGE:
            runs[-1] = (runs[-1][0], place + 1, links[place])
        else:
            runs.append((place, place + 1, links[place]))
    return runs


def _take_cells(
    text: str, modules: Mapping[str, int]
) -> tuple[list[str], list[list[tuple[str, dict[str, str]]]]]:
    """The design without the cells of ``modules``, and their names and ports by kind.

    The modules themselves, of which only ports are left, are left out as well.
    """
    text = next(found[0] for found in _MODULE.finditer(text) if found[1] not in modules)
    lines: list[str] = []
    cells: list[list[tuple[str, dict[str, str]]]] = [[] for _ in range(max(modules.values()) + 1)]
    taken: dict[str, str] | None = None
    for line in text.split("\n"):
        words = line.split(None, 2)
        if words[:1] == ["cell"] and words[1] in modules:
            while lines[-1].startswith("  attribute"):
                lines.pop()
            taken = {}
            cells[modules[words[1]]].append((words[2], taken))
        elif taken is None:
            lines.append(line)
        elif words[0] == "connect":
            taken[words[1]] = words[2]
        elif words[0] == "end":
            taken = None
    return lines, cells


def _natural(name: str) -> list[int | str]:
    """Sorts pe_2 before pe_10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def _member(name: str) -> str:
    """What CXXRTL calls a wire; it doubles underscores."""
    return f"p_{name.replace('_', '__')}"
