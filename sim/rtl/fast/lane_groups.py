"""The instances in a flat design that are computed in loops beside it.

Their inputs and registers are arrays; what they share with the rest of the design are ports of it.
"""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

from sim.rtl.fast.lane_code import storage
from sim.rtl.fast.lane_feed import IN, OUT, Code, member, progressions, runs
from sim.rtl.fast.lane_kinds import Kind
from sim.rtl.fast.lane_wires import Input
from sim.rtl.fast.netlist import MODULE, Chunk, cut, parse
from sim.yosys import unexpected

_NAME = re.compile(r"[\\$][^\s{}]+")
_CLOCK = "\\clk"
_LONG_BODY = 100  # lines
_MANY = 64  # instances
_MIXED_BODY = 40  # lines: g++ makes no vectors of such with values of many widths
_TYPES = "".join(
    f"using {sign}int{bits}_t = Lanes<std::{sign}int{bits}_t>;\n"
    for sign in ("", "u")
    for bits in (32, 64)
)


@dataclasses.dataclass(frozen=True)
class _Output:
    """A register of an instance."""

    kind: int
    register: int
    instance: int
    width: int
    low: int  # of the bit of the register that is the wire's first


class Groups:
    """The instances in a flat design.

    Args:
        text: RTLIL of the flat design, with the instances as cells.
        kinds: what they are instances of.

    Attributes:
        text: the design without them, with ports in their stead.
        instances: their names by kind, in the order of the arrays.
    """

    def __init__(self, text: str, kinds: list[Kind]) -> None:
        self._kinds = kinds
        lines, cells = _take_cells(text, {kind.module: number for number, kind in enumerate(kinds)})
        self._wires = parse("\n".join(line for line in lines if line.startswith("  wire")))
        self.instances = [sorted(found, key=_natural) for found in cells]
        self._members = [
            [found[name] for name in names]
            for found, names in zip(cells, self.instances, strict=True)
        ]
        self._outputs = dict(self._driven())
        used = {name for line in lines if "connect" in line for name in _NAME.findall(line)}
        self._published = sorted(used & self._outputs.keys())
        self._pins: dict[str, str] = {}
        for number, name in enumerate(self._published):
            self._pins[name] = f"{OUT}{number}"
        self._inputs = [
            [[self._seen(ports[each.port], each) for ports in members] for each in kind.lane.inputs]
            for kind, members in zip(kinds, self._members, strict=True)
        ]
        self.text = "\n".join(self._with_ports(lines))

    def _driven(self) -> Iterator[tuple[str, _Output]]:
        """The wires that instances drive."""
        for number, (kind, members) in enumerate(zip(self._kinds, self._members, strict=True)):
            for index, ports in enumerate(members):
                if self._wires.chunks(ports[kind.lane.clock])[0].wire != _CLOCK:
                    raise unexpected("an instance with a clock of its own")
                for port, register in kind.lane.outputs.items():
                    if port not in ports:
                        continue
                    width = kind.lane.registers[register].width
                    position = 0
                    for chunk in self._wires.chunks(ports[port]):
                        if chunk.low or chunk.width != self._wires.wires[chunk.wire].width:
                            raise unexpected(f"an instance that drives a part of {chunk.wire}")
                        yield chunk.wire, _Output(number, register, index, width, position)
                        position += chunk.width

    def _seen(self, signal: str, seen: Input) -> tuple[Chunk, ...]:
        """What an input sees of what its port is connected to; the design's own gets a pin."""
        chunks = tuple(cut(self._wires.chunks(signal), seen.low, seen.width))
        for chunk in chunks:
            if chunk.wire and chunk.wire not in self._outputs:
                self._pins.setdefault(chunk.wire, f"{IN}{len(self._pins)}")
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

    def code(self, told: bool) -> str:
        """C++ of ``DnaGroups``.

        Args:
            told: as for :class:`sim.rtl.fast.lane_feed.Code`.
        """
        code = Code(told)
        steps: list[tuple[int, list[str]]] = []
        publishing = {self._outputs[name].kind for name in self._published}
        for number, (kind, inputs) in enumerate(zip(self._kinds, self._inputs, strict=True)):
            count = len(self._members[number])
            for place, each in enumerate(kind.lane.inputs):
                array, element = f"in_{number}_{place}", storage(each.width)
                code.members.append(f"{element} {array}[{max(count, 1)}] = {{}};")
                self._feed(code, number, array, element, inputs[place])
            arrays = [f"auto *in_{n} = in_{number}_{n};" for n in range(len(kind.lane.inputs))]
            for place, register in enumerate(kind.lane.registers):
                array = f"r_{number}_{place}"
                code.members.append(f"{storage(register.width)} {array}[{max(count, 1)}];")
                code.setup.append(f"std::fill_n({array}, {count}, {register.init:#x}ull);")
                arrays.append(f"auto *r_{place} = {array};")
            loop = [
                "{",
                *arrays,
                "int i = 0;",
                *_loops(kind.lane.body, count),
                "}",
                *([f"publish_{number}(top);"] if number in publishing else []),
            ]
            steps.append((count, self._unless_still(code, number, loop)))
        # What long loops read in one piece has been written piece by piece; others come between.
        for _, lines in sorted(steps, key=lambda step: step[0]):
            code.step += lines
        for name in self._published:
            output, width = self._outputs[name], self._wires.wires[name].width
            value = f"uint64_t(r_{output.kind}_{output.register}[{output.instance}])"
            pin = member(self._pins[name])
            code.publish(output.kind, pin, f"{value} >> {output.low}", width)
        return code.text()

    def _rests(self, number: int) -> bool:
        """Whether the loop over a kind is left out while nothing changes."""
        few = len(self._members[number]) <= _MANY
        return few or self._kinds[number].lane.body.count("\n") >= _LONG_BODY

    def _unless_still(self, code: Code, number: int, loop: list[str]) -> list[str]:
        """The loop, not executed while nothing can change: inputs and registers are what they were.

        Comparing registers costs less than the loop only if it is short or much is computed.
        """
        lane = self._kinds[number].lane
        registers = [f"r_{number}_{place}" for place in range(len(lane.registers))]
        if not self._rests(number):
            code.members.append(f"static constexpr bool moved_{number} = true;")
            return loop
        code.members += [f"decltype({array}) old_{array};" for array in registers]
        code.members.append(f"bool moved_{number} = true;")
        same = [f"!std::memcmp({array}, old_{array}, sizeof {array})" for array in registers]
        fresh = f"fresh_{number} | " if lane.inputs else ""
        return [
            f"if ({fresh}moved_{number}) {{",
            *(f"std::memcpy(old_{array}, {array}, sizeof {array});" for array in registers),
            *loop,
            f"moved_{number} = !({' && '.join(same) or 'true'});",
            "}",
        ]

    def _feed(
        self, code: Code, number: int, array: str, element: str, seen: list[tuple[Chunk, ...]]
    ) -> None:
        """Give an input of all instances of a kind what they see."""
        links: dict[int, tuple[int, int, int]] = {}  # kind, register, distance
        for place, chunks in enumerate(seen):
            output = self._outputs.get(chunks[0].wire)
            if len(chunks) == 1 and output and chunks[0].width == output.width:
                links[place] = (output.kind, output.register, output.instance - place)
        covered: set[int] = set()
        for start, stop, (kind, register, distance) in runs(links):
            covered.update(range(start, stop))
            copied = f"{array} + {start}, r_{kind}_{register} + {start + distance}, {stop - start}"
            if self._rests(number):
                code.gather_copy(number, copied, kind)
            else:
                code.gather(
                    number,
                    [
                        f"std::copy_n(r_{kind}_{register} + {start + distance}, "
                        f"{stop - start}, {array} + {start});"
                    ],
                    [kind],
                    [],
                )
        simple: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
        rest: dict[int, tuple[Chunk, ...]] = {}
        for place, chunks in enumerate(seen):
            wire = chunks[0].wire
            if place in links:
                continue
            if len(chunks) == 1 and wire and wire not in self._outputs:
                simple[wire].append((place, chunks[0].low, chunks[0].width))
                continue
            rest[place] = chunks
        for start, stop, value in self._alike(rest):
            loop = f"for (int k = {start}; k < {stop}; k++) {array}[k] = {element}({value});"
            wires = {chunk.wire for n in range(start, stop) for chunk in rest[n] if chunk.wire}
            if not wires and start not in covered:
                code.setup.append(loop)
                continue
            kinds = {self._outputs[wire].kind for wire in wires & self._outputs.keys()}
            pins = [member(self._pins[wire]) for wire in sorted(wires - self._outputs.keys())]
            code.gather(number, [loop], kinds, pins)
        for wire, places in simple.items():
            pin = member(self._pins[wire])
            data = f"top.{pin}.data"
            lines = [run.code(array, element, data) for run in progressions(places)]
            if covered.isdisjoint(place for place, *_ in places):
                code.gather_changes(number, lines, pin)
            else:
                code.gather(number, lines, [], [pin])

    def _alike(self, seen: Mapping[int, tuple[Chunk, ...]]) -> list[tuple[int, int, str]]:
        """Places from start to stop that see the same of instances that lie as they do; and what.

        Args:
            seen: by place, in order.
        """
        alike: list[tuple[int, int, str]] = []
        for place, chunks in seen.items():
            value = self._joined(chunks, place)
            if alike and alike[-1][1:] == (place, value):
                alike[-1] = (alike[-1][0], place + 1, value)
            else:
                alike.append((place, place + 1, value))
        return alike

    def _joined(self, chunks: tuple[Chunk, ...], place: int) -> str:
        """The value of what place ``k`` sees if place ``place`` sees ``chunks``."""
        parts, position = [], 0
        for chunk in chunks:
            mask = f"{(1 << chunk.width) - 1:#x}ull"
            if not chunk.wire:
                part = f"{chunk.value:#x}ull"
            elif chunk.wire in self._outputs:
                output = self._outputs[chunk.wire]
                register = f"r_{output.kind}_{output.register}[k + {output.instance - place}]"
                part = f"(uint64_t({register}) >> {output.low + chunk.low} & {mask})"
            else:
                pin = member(self._pins[chunk.wire])
                part = f"lane_bits(top.{pin}.data, {chunk.low}, {chunk.width})"
            parts.append(f"{part} << {position}")
            position += chunk.width
        return " | ".join(parts)


def _loops(body: str, count: int) -> Iterator[str]:
    """Loops over so many instances; what is computed in long bodies is eight values each."""
    if body.count("\n") >= _MIXED_BODY:
        yield f"for (; i + LANES <= {count}; i += LANES) {{\n{_TYPES}{body}\n}}"
        yield f"if constexpr ({count} % LANES != 0)"
    yield "{"
    yield "#pragma GCC ivdep"
    yield f"for (; i < {count}; i++) {{\n{body}\n}}\n}}"


def _take_cells(
    text: str, modules: Mapping[str, int]
) -> tuple[list[str], list[dict[str, dict[str, str]]]]:
    """The design without the cells of ``modules``, and their names and ports by kind.

    The modules themselves, of which only ports are left, are left out as well.
    """
    text = next(found[0] for found in MODULE.finditer(text) if found[1] not in modules)
    lines: list[str] = []
    cells: list[dict[str, dict[str, str]]] = [{} for _ in modules]
    taken: dict[str, str] | None = None
    for line in text.split("\n"):
        words = line.split(None, 2)
        if words[:1] == ["cell"] and words[1] in modules:
            while lines[-1].startswith("  attribute"):
                lines.pop()
            taken = cells[modules[words[1]]][words[2]] = {}
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
