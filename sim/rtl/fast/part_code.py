"""C++ of parts: functions that compute, and tell who has to run because something has changed."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from sim.rtl.fast.cxxrtl_forms import WRITE
from sim.rtl.fast.eval_order import readers_of
from sim.rtl.fast.eval_statements import MEMORY, Part, Statement
from sim.yosys import unexpected

_WORD = 64
_WATCHED = 100  # ports in a function
_NEXT = re.compile(r"\b([pi]_\w+)\.next\b")


class PartCode:
    """C++ of parts.

    Args:
        parts: in the order in which they are executed.
        declarations: of local values, by name.
        outputs: registers that are ports.
        fed: ports that are read by loops.
        edge: the name of what says whether there is an edge of the clock.

    Attributes:
        members: what the design has in addition.
        functions: definitions of members.
    """

    def __init__(
        self,
        parts: list[Part],
        declarations: Mapping[str, str],
        outputs: Iterable[str],
        fed: Iterable[str],
        edge: str,
    ) -> None:
        self._parts = parts
        self._edge = edge
        self._readers = readers_of(parts)
        # A pin that goes to loops has a bit behind those of the parts.
        self._fed = {name: number for number, name in enumerate(fed, len(parts))}
        for name, number in self._fed.items():
            self._readers[name].add(number)
        uses: dict[str, set[int]] = defaultdict(set)
        self._keepers: dict[str, int] = {}
        for number, part in enumerate(parts):
            for statement in part:
                for name in statement.keeps:
                    if self._keepers.setdefault(name, number) != number:
                        raise unexpected(f"two statements that write {name}")
                for name in statement.reads | statement.computes:
                    uses[name].add(number)
        # Somebody looks at them later than their own part is executed.
        self._late = {name for name in outputs if name in self._keepers} | {
            name
            for name, keeper in self._keepers.items()
            if max(self._readers[name], default=0) > keeper
        }
        words = -(-(len(parts) + len(self._fed)) // _WORD)
        all_active = ", ".join(["~uint64_t(0)"] * words)
        self.members = [
            f"uint64_t active[{words}] = {{{all_active}}};",
        ]
        self.functions: list[str] = []
        keeping_late = sorted({self._keepers[name] for name in self._late})
        self._late_parts = {number: bit for bit, number in enumerate(keeping_late)}
        self.members.append(f"uint64_t late[{len(keeping_late) // _WORD + 1}] = {{}};")
        self._own: dict[int, list[str]] = defaultdict(list)
        for name, declaration in declarations.items():
            where = uses[name]
            if len(where) > 1:
                self.members.append(declaration)
            elif where:
                self._own[min(where)].append(f"\t{declaration}\n")

    def type_of(self, width: str, name: str) -> str:
        """The declaration of a register."""
        kind = "wire" if name in self._late or name not in self._keepers else "dna_kept"
        return f"{kind}<{width}> {name};"

    def names(self) -> Iterator[str]:
        """What parts compute and keep, in that order, so that it may lie side by side."""
        for part in self._parts:
            for statement in part:
                yield from sorted(statement.computes | statement.keeps)

    def watch(self, inputs: Mapping[str, str]) -> Iterator[str]:
        """Statements that find out which ports have changed.

        Args:
            inputs: their types by name.
        """
        watched = [name for name in inputs if self._readers[name]]
        self.members += [f"{inputs[name]} seen_{name};" for name in watched]
        for number, start in enumerate(range(0, len(watched), _WATCHED)):
            tell = _Tell(self._readers)
            lines = [
                f"\t{tell.changed(name)} |= dna_take(seen_{name}, {name});\n"
                for name in watched[start : start + _WATCHED]
            ]
            self._define(f"watch_{number}", "", [*tell.begin(), *lines, *tell.end()])
            yield f"\twatch_{number}();\n"

    def exchange(self, told: Iterable[str]) -> None:
        """Define what loops ask for and tell.

        Args:
            told: ports that loops drive.
        """
        for name in told:
            tell = _Tell(self._readers)
            changed = tell.changed(name)
            lines = "".join(tell.end())
            self.members.append(f"void tell_{name}(uint32_t {changed}) {{\n{lines}\t}}")
        masks: dict[int, int] = defaultdict(int)
        for name, number in self._fed.items():
            word, bit = divmod(number, _WORD)
            masks[word] |= 1 << bit
            self.members.append(
                f"bool fed_{name}() const {{ return active[{word}] >> {bit} & 1; }}"
            )
        lines = "".join(f"\tactive[{w}] &= ~{mask:#x}ull;\n" for w, mask in masks.items())
        self.members.append(f"void take_fed() {{\n{lines}\t}}")

    def evaluate(self) -> Iterator[str]:
        """Statements that execute the parts. Without an edge registers compute nothing."""
        yield f"\tfor (uint64_t &word : active)\n\t\tword |= -uint64_t(!{self._edge});\n"
        # What a part computes is read by parts after it, what it keeps by itself and those before:
        # they are executed in the next cycle.
        for first in range(0, len(self._parts), _WORD):
            numbers = range(first, min(first + _WORD, len(self._parts)))
            active = f"active[{first // _WORD}]"
            yield f"\tfor (uint64_t left = {(1 << len(numbers)) - 1:#x}ull, bits;\n"
            yield f"\t     (bits = {active} & left) != 0;) {{\n"
            yield "\t\tconst int bit = __builtin_ctzll(bits);\n"
            yield "\t\tleft &= ~uint64_t(1) << bit;\n"
            yield f"\t\t{active} &= ~(uint64_t({self._edge}) << bit);\n"
            yield "\t\tswitch (bit) {\n"
            for number in numbers:
                yield f"\t\tcase {number - first}: eval_{number}({self._edge}); break;\n"
            yield "\t\tdefault: __builtin_unreachable();\n\t\t}\n\t}\n"
        for number, part in enumerate(self._parts):
            tell = _Tell(self._readers)
            lines = list(self._body(number, part, tell))
            whole = [*self._own[number], *tell.begin(), *lines, *tell.end()]
            self._define(f"eval_{number}", f"bool {self._edge}", whole)

    def _body(self, number: int, part: Part, tell: _Tell) -> Iterator[str]:
        """The statements; what is computed for others is compared with what it was before."""
        for statement in part:
            shared = [name for name in statement.computes if self._readers[name] - {number}]
            if shared:
                yield "\t{\n"
            yield from (f"\tconst auto old_{name} = {name};\n" for name in shared)
            if statement.computes:
                yield statement.text
            for name in shared:
                yield f"\t{tell.changed(name, but=number)} |= dna_differ(old_{name}, {name});\n"
            if shared:
                yield "\t}\n"
        kept = sorted({name for statement in part for name in statement.keeps})
        if not kept:
            return
        yield f"\tif ({self._edge}) {{\n"
        registers = [name for name in kept if not name.startswith(MEMORY)]
        yield from (f"\tauto next_{name} = {name}.curr;\n" for name in registers)
        late = [name for name in kept if name in self._late]
        if late:
            yield "\tuint32_t is_late = 0;\n"
        for statement in part:
            if statement.keeps:
                yield self._keep(statement, tell)
        for name in registers:
            if name in self._late:
                yield f"\tis_late |= dna_differ({name}.curr, next_{name});\n"
                yield f"\t{name}.next = next_{name};\n"
            else:
                yield f"\t{tell.changed(name)} |= dna_take({name}.curr, next_{name});\n"
        if late:
            word, bit = divmod(self._late_parts[number], _WORD)
            yield f"\tlate[{word}] |= uint64_t(is_late != 0) << {bit};\n"
        yield "\t}\n"

    def _keep(self, statement: Statement, tell: _Tell) -> str:
        """A statement with local values for what registers take, and that writes to memories."""
        text = _NEXT.sub(r"next_\1", statement.text)

        def write(found: re.Match[str]) -> str:
            memory, index, rest = found[2], found[3], found[4]
            value, mask, priority = _arguments(rest)
            do = f"{tell.changed(memory)} |= dna_write({memory}, {index}, {value}, mask)"
            if memory in self._late:
                do = f"is_late = 1, {memory}.update({index}, {value}, mask, {priority})"
            return f"{found[1]}if (const auto mask = {mask}; !mask.is_zero())\n{found[1]}\t{do};\n"

        return WRITE.sub(write, text)

    def latch(self) -> None:
        """Define what registers and memories do that could not take their values before."""
        calls = []
        for number, bit in self._late_parts.items():
            kept = {name for statement in self._parts[number] for name in statement.keeps}
            tell = _Tell(self._readers)
            lines = [
                f"\t{tell.changed(name)} |= dna_latch({name});\n"
                for name in sorted(kept & self._late)
            ]
            self._define(f"latch_{number}", "", [*tell.begin(), *lines, *tell.end()])
            word, bit = divmod(bit, _WORD)
            calls.append(f"\tif (late[{word}] >> {bit} & 1)\n\t\tlatch_{number}();\n")
        zero = "\tfor (uint64_t &word : late)\n\t\tword = 0;\n"
        self._define("latch", "", [*calls, zero])

    def _define(self, name: str, parameters: str, lines: Iterable[str]) -> None:
        self.members.append(f"void {name}({parameters});")
        self.functions.append(f"void p_top::{name}({parameters}) {{\n{''.join(lines)}}}\n\n")


class _Tell:
    """C++ that makes the readers of names active if the names have changed."""

    def __init__(self, readers: Mapping[str, set[int]]) -> None:
        self._readers = readers
        self._together: dict[tuple[int, ...], str] = {}

    def changed(self, name: str, but: int | None = None) -> str:
        """The variable for all names with the same readers, but one."""
        readers = tuple(sorted(self._readers[name] - {but}))
        return self._together.setdefault(readers, f"changed_{len(self._together)}")

    def begin(self) -> Iterator[str]:
        """Statements that stand before all others."""
        yield from (f"\tuint32_t {changed} = 0;\n" for changed in self._together.values())

    def end(self) -> Iterator[str]:
        """Statements that stand behind all others."""
        for readers, changed in self._together.items():
            masks: dict[int, int] = defaultdict(int)
            for reader in readers:
                masks[reader // _WORD] |= 1 << reader % _WORD
            for word, mask in masks.items():
                yield f"\tactive[{word}] |= -uint64_t({changed} != 0) & {mask:#x}ull;\n"


def _arguments(text: str) -> list[str]:
    """What commas separate, outside of brackets."""
    found, depth = [""], 0
    for letter in text:
        depth += (letter in "(<{") - (letter in ")>}")
        if letter == "," and not depth:
            found.append("")
        else:
            found[-1] += letter
    return [each.strip() for each in found]
