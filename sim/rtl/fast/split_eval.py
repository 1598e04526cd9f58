"""Cuts the one function that CXXRTL generates for a design into parts that run only if needed.

g++ takes much longer for one function of many thousand statements than for all of them in functions
of moderate size, and most blocks of a machine stand still in most cycles. So a part, which is
mostly of one block, is executed only if something that it reads has changed since its last
execution: parts, registers and memories that take another value say so to the parts that read it,
and ports are compared with what they were. What is skipped would have computed what it computed
before; values and cycles are those of the whole function.
"""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from sim.rtl.fast.cxxrtl_forms import check_members, check_statements
from sim.rtl.fast.eval_order import Part, parts_of
from sim.yosys import unexpected

PART_CHARACTERS = 1_500
_MIN_PARTS = 8
_WORD = 64

_HEAD = "bool p_top::eval(performer *performer) {\n"
_CLASS = "struct p_top : public module {\n"
_CLASS_END = "}; // struct p_top\n"
_LOCAL = re.compile(r"^\t(value<\d+> (\w+);)\n", re.MULTILINE)
_INPUT = re.compile(r"^\t/\*input\*/ (value<\d+>) (\w+);", re.MULTILINE)
_EDGE = re.compile(r"^\tbool (\w+) = this->\w+\(\);\n", re.MULTILINE)
_CLOCK = "p_clk"
_MEMBER = re.compile(r"\t(?:/\*\w+\*/ )?(?:value|wire|memory)<\d+> \w+(?: \{ \d+u \})?;\n")
_MEMBERS = 500  # of a base class
_WATCHED = 100  # ports in a function
# What is executed once or never takes long to compile; latch() does what commit() would.
_RESET = "void p_top::reset() {\n"
_ONCE = '__attribute__((optimize("O0"))) '
_COMMIT = re.compile(r"(?<=bool commit\(ObserverT &observer\) {\n).*?(?=\t}\n)", re.DOTALL)
_HELPERS = """
template<size_t Bits> static inline bool dna_take(cxxrtl::wire<Bits> &wire) {
    const bool changed = wire.curr != wire.next;
    wire.curr = wire.next;
    return changed;
}
template<size_t Width> static inline bool dna_take(cxxrtl::memory<Width> &memory) {
    if (memory.write_queue.empty())
        return false;
    cxxrtl::observer observer;
    memory.commit(observer);
    return true;
}
template<size_t Width>
static inline void dna_update(cxxrtl::memory<Width> &memory, size_t index,
                              const cxxrtl::value<Width> &value, const cxxrtl::value<Width> &mask,
                              int priority) {
    if (!mask.is_zero())
        memory.update(index, value, mask, priority);
}
"""
_LATCH = "\nstatic void dna_latch(cxxrtl_design::p_top &top) { top.latch(); }\n"


@dataclasses.dataclass(frozen=True)
class Source:
    """C++ of a design.

    Attributes:
        declarations: for whoever uses the design or defines a part of it.
        main: definitions that are to be compiled once.
        parts: more of them, each of which may be compiled with the declarations alone.
    """

    declarations: str
    main: str
    parts: list[str] = dataclasses.field(default_factory=list)


def split_eval(source: str, part_characters: int = PART_CHARACTERS) -> Source | None:
    """The same C++ with ``p_top::eval`` in parts, and with ``dna_latch`` (see design.h).

    Args:
        source: what ``write_cxxrtl -g0`` wrote.
        part_characters: about how long a part is at least.

    Returns:
        None if the function is too short for that, or does not settle in one evaluation.

    Raises:
        DnaError: the source is not what ``write_cxxrtl`` is known to write.
    """
    start = source.index(_HEAD) + len(_HEAD)
    stop = source.index("\treturn converged;\n}\n", start)
    first = source.index("\n", source.index("bool converged", start)) + 1
    statements = source[first:stop]
    edges = _EDGE.findall(statements)
    special = "converged" in statements or "performer" in statements or len(edges) != 1
    if special or len(statements) < _MIN_PARTS * part_characters:
        return None
    check_members(source[source.index(_CLASS) + len(_CLASS) :])
    check_statements(statements)
    declarations = {name: line for line, name in _LOCAL.findall(statements)}
    parts = parts_of(_LOCAL.sub("", _EDGE.sub("", statements)), part_characters)
    code = _Parts(parts, declarations, edges[0])
    inputs = {name: kind for kind, name in _INPUT.findall(source) if name != _CLOCK}
    calls = [f"\tbool {edges[0]} = this->{edges[0]}();\n", *code.watch(inputs), *code.evaluate()]
    code.latch()
    begin, end = source.index(_CLASS), source.index(_CLASS_END) + len(_CLASS_END)
    members = "".join(f"\t{member}\n" for member in code.members)
    whole = members + source[begin + len(_CLASS) : end]
    structure = _in_bases(_COMMIT.sub("\t\treturn false;\n", whole, count=1))
    before = f"{source[:begin]}}}\n{_HELPERS}\nnamespace cxxrtl_design {{\n\n{structure}"
    rest = "".join([source[end:first], *calls, source[stop:]])
    rest = rest.replace(f"\n{_RESET}", f"\n{_ONCE}{_RESET}", 1)
    return Source(
        f"{before}\n}} // namespace cxxrtl_design\n",
        f"namespace cxxrtl_design {{\n{rest}{_LATCH}",
        [f"namespace cxxrtl_design {{\n{part}}}\n" for part in code.functions],
    )


def _in_bases(text: str) -> str:
    """A class with most of its members in base classes.

    g++ compares each member of a class with those before it, which takes 20 s for f200's.
    """
    bases: list[list[str]] = []
    rest = []
    pending: list[str] = []
    for line in text.splitlines(keepends=True):
        pending.append(line)
        if _MEMBER.match(line):
            if not bases or len(bases[-1]) >= _MEMBERS:
                bases.append([])
            bases[-1].append("".join(pending))
        elif line.startswith("\t//"):
            continue
        else:
            rest += pending
        pending = []
    structures = "".join(
        f"struct dna_members_{number} {{\n{''.join(members)}}};\n\n"
        for number, members in enumerate(bases)
    )
    names = "".join(f", public dna_members_{number}" for number in range(len(bases)))
    return f"{structures}struct p_top : public module{names} {{\n{''.join(rest)}"


def _each(bits: str, first: str, calls: Mapping[int, str]) -> Iterator[str]:
    """A loop over the bits that are set, by number of the part.

    Args:
        bits: what stands in the brackets of ``for``.
        first: statements that have the number of a bit, ``bit``, in ``word``.
        calls: what follows for each part.
    """
    yield "\tfor (size_t word = 0; word < sizeof active / sizeof *active; word++)\n"
    yield f"\t\tfor ({bits}) {{\n\t\t\tconst int bit = __builtin_ctzll(bits);\n{first}"
    yield f"\t\t\tswitch ({_WORD} * word + bit) {{\n"
    yield from (f"\t\t\tcase {number}: {call} break;\n" for number, call in calls.items())
    yield "\t\t\t}\n\t\t}\n"


class _Parts:
    """C++ of parts.

    Attributes:
        members: what the design has in addition.
        functions: definitions of members.
    """

    def __init__(self, parts: list[Part], declarations: Mapping[str, str], edge: str) -> None:
        self._parts = parts
        self._edge = edge
        self._readers: dict[str, set[int]] = defaultdict(set)
        self._uses: dict[str, set[int]] = defaultdict(set)
        keepers: dict[str, int] = {}
        for number, part in enumerate(parts):
            for statement in part:
                for name in statement.keeps:
                    if keepers.setdefault(name, number) != number:
                        raise unexpected(f"two statements that write {name}")
                for name in statement.reads:
                    self._readers[name].add(number)
                for name in statement.reads | statement.computes:
                    self._uses[name].add(number)
        words = -(-len(parts) // _WORD)
        all_active = ", ".join(["~uint64_t(0)"] * words)
        self.members = [
            f"uint64_t active[{words}] = {{{all_active}}};",
            f"uint64_t ran[{words}] = {{}};",
        ]
        self.functions: list[str] = []
        self._own: dict[int, list[str]] = defaultdict(list)
        for name, declaration in declarations.items():
            where = self._uses[name]
            if len(where) > 1:
                self.members.append(declaration)
            elif where:
                self._own[min(where)].append(f"\t{declaration}\n")

    def watch(self, inputs: Mapping[str, str]) -> Iterator[str]:
        """Statements that find out which ports have changed."""
        watched = [name for name in inputs if self._readers[name]]
        self.members += [f"{inputs[name]} seen_{name};" for name in watched]
        for number, start in enumerate(range(0, len(watched), _WATCHED)):
            some = watched[start : start + _WATCHED]
            lines = [
                *self._tell({name: f"seen_{name} != {name}" for name in some}),
                *(f"\tseen_{name} = {name};\n" for name in some),
            ]
            self._define(f"watch_{number}", "", lines)
            yield f"\twatch_{number}();\n"

    def evaluate(self) -> Iterator[str]:
        """Statements that execute the parts. Without an edge registers compute nothing."""
        yield f"\tfor (uint64_t &word : active)\n\t\tword |= -uint64_t(!{self._edge});\n"
        # What a part makes active comes after it.
        chosen = (
            "\t\t\tleft = ~uint64_t(1) << bit;\n"
            f"\t\t\tactive[word] &= ~(uint64_t({self._edge}) << bit);\n"
            "\t\t\tran[word] |= uint64_t(1) << bit;\n"
        )
        bits = "uint64_t left = ~uint64_t(0), bits; (bits = active[word] & left) != 0;"
        calls = {n: f"eval_{n}({self._edge});" for n in range(len(self._parts))}
        yield from _each(bits, chosen, calls)
        for number, part in enumerate(self._parts):
            computed = {name for statement in part for name in statement.computes}
            shared = sorted(n for n in computed if self._readers[n] - {number})
            lines = [
                *self._own[number],
                *(f"\tconst auto old_{name} = {name};\n" for name in shared),
                *(statement.text for statement in part),
                *self._tell({name: f"old_{name} != {name}" for name in shared}, but=number),
            ]
            self._define(f"eval_{number}", f"bool {self._edge}", lines)

    def latch(self) -> None:
        """Define what registers and memories do; those of skipped parts have what they take."""
        calls = {}
        for number, part in enumerate(self._parts):
            kept = sorted({name for statement in part for name in statement.keeps})
            if kept:
                calls[number] = f"latch_{number}();"
                taken = {name: f"dna_take({name})" for name in kept}
                self._define(f"latch_{number}", "", self._tell(taken))
        bits = "uint64_t bits = ran[word]; bits; bits &= bits - 1"
        zero = "\tfor (uint64_t &word : ran)\n\t\tword = 0;\n"
        self._define("latch", "", [*_each(bits, "", calls), zero])

    def _define(self, name: str, parameters: str, lines: Iterable[str]) -> None:
        self.members.append(f"void {name}({parameters});")
        self.functions.append(f"void p_top::{name}({parameters}) {{\n{''.join(lines)}}}\n\n")

    def _tell(self, changes: Mapping[str, str], but: int | None = None) -> Iterator[str]:
        """Statements that make the readers of names active, but one, if they have changed."""
        together: dict[tuple[int, ...], list[str]] = defaultdict(list)
        for name, changed in changes.items():
            together[tuple(sorted(self._readers[name] - {but}))].append(f"uint64_t({changed})")
        for readers, terms in together.items():
            masks: dict[int, int] = defaultdict(int)
            for reader in readers:
                masks[reader // _WORD] |= 1 << reader % _WORD
            yield f"\t{{\n\t\t[[maybe_unused]] const uint64_t all = -({' | '.join(terms)});\n"
            yield from (f"\t\tactive[{w}] |= all & {m:#x}ull;\n" for w, m in masks.items())
            yield "\t}\n"
