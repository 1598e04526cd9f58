"""Cuts the one function that CXXRTL generates for a design into parts that run only if needed.

g++ takes much longer for one function of many thousand statements than for all of them in functions
of moderate size, and most of a machine stands still in most cycles. So a part is executed only if
something that it reads has changed since its last execution: parts, registers and memories that
take another value say so to the parts that read it, and ports are compared with what they were.
What is skipped would have computed what it computed before; values and cycles are those of the
whole function.

A register takes its next value, and a memory what is written to it, at the end of the part that
computes it, if all parts that read it come before. It is then read again in the next cycle only.
The others, and registers that are ports, wait until all parts are done.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

from sim.rtl.fast.cxxrtl_forms import check_members, check_statements
from sim.rtl.fast.eval_clusters import clusters_of
from sim.rtl.fast.eval_order import in_order
from sim.rtl.fast.eval_statements import statements_of
from sim.rtl.fast.lane_feed import IN, OUT, member
from sim.rtl.fast.part_code import PartCode

PART_CHARACTERS = 6_000
_MIN_PARTS = 8

_HEAD = "bool p_top::eval(performer *performer) {\n"
_CLASS = "struct p_top : public module {\n"
_CLASS_END = "}; // struct p_top\n"
_LOCAL = re.compile(r"^\t(value<\d+> (\w+);)\n", re.MULTILINE)
_INPUT = re.compile(r"^\t/\*input\*/ (value<\d+>) (\w+);", re.MULTILINE)
_OUTPUT = re.compile(r"^\t/\*output\*/ wire<\d+> (\w+)", re.MULTILINE)
_FED = re.compile(rf"^\t/\*output\*/ value<\d+> ({member(IN)}\d+);", re.MULTILINE)
_STATE = re.compile(r"^\t(?:/\*output\*/ )?(?:wire|memory)<(\d+)> (\w+)", re.MULTILINE)
_EDGE = re.compile(r"^\tbool (\w+) = this->\w+\(\);\n", re.MULTILINE)
_CLOCK = "p_clk"
_WIRE = re.compile(r"(?<=^\t)wire<(\d+)> (\w+);$", re.MULTILINE)
_MEMBER = re.compile(
    r"\t(?:/\*\w+\*/ )?(?:value|wire|memory|dna_kept)<\d+> (\w+)(?: \{ \d+u \})?;\n"
)
_MEMBERS = 500  # of a base class
# What is executed once or never takes long to compile; latch() does what commit() would.
_RESET = "void p_top::reset() {\n"
_ONCE = '__attribute__((optimize("O0"))) '
_COMMIT = re.compile(r"(?<=bool commit\(ObserverT &observer\) {\n).*?(?=\t}\n)", re.DOTALL)
_HELPERS = """
template<size_t Bits>
static inline uint32_t dna_differ(const cxxrtl::value<Bits> &a, const cxxrtl::value<Bits> &b) {
    uint32_t bits = 0;
    for (size_t n = 0; n < a.chunks; n++)
        bits |= a.data[n] ^ b.data[n];
    return bits;
}
template<size_t Bits>
static inline uint32_t dna_take(cxxrtl::value<Bits> &held, const cxxrtl::value<Bits> &next) {
    const uint32_t changed = dna_differ(held, next);
    held = next;
    return changed;
}
// A register that takes its values at once.
template<size_t Bits> struct dna_kept {
    cxxrtl::value<Bits> curr;
    void operator=(cxxrtl::wire<Bits> &&wire) { curr = wire.curr; }
};
template<size_t Bits> static inline uint32_t dna_latch(cxxrtl::wire<Bits> &wire) {
    return dna_take(wire.curr, wire.next);
}
template<size_t Width> static inline uint32_t dna_latch(cxxrtl::memory<Width> &memory) {
    cxxrtl::observer observer;
    return memory.commit(observer);
}
template<size_t Width>
static inline uint32_t dna_write(cxxrtl::memory<Width> &memory, size_t index,
                                 const cxxrtl::value<Width> &value,
                                 const cxxrtl::value<Width> &mask) {
    return dna_take(memory[index], memory[index].update(value, mask));
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
    alone = list(statements_of(_LOCAL.sub("", _EDGE.sub("", statements))))
    widths = {name: int(width) for width, name in _STATE.findall(source)}
    parts = in_order(clusters_of(alone, part_characters), widths)
    code = PartCode(parts, declarations, _OUTPUT.findall(source), _FED.findall(source), edges[0])
    inputs = {name: kind for kind, name in _INPUT.findall(source) if name != _CLOCK}
    told = [name for name in inputs if name.startswith(member(OUT))]
    inputs = {name: kind for name, kind in inputs.items() if name not in told}
    code.exchange(told)
    calls = [f"\tbool {edges[0]} = this->{edges[0]}();\n", *code.watch(inputs), *code.evaluate()]
    code.latch()
    begin, end = source.index(_CLASS), source.index(_CLASS_END) + len(_CLASS_END)
    members = "".join(f"\t{member}\n" for member in code.members)
    whole = members + source[begin + len(_CLASS) : end]
    whole = _WIRE.sub(lambda found: code.type_of(found[1], found[2]), whole)
    structure = _in_bases(_COMMIT.sub("\t\treturn false;\n", whole, count=1), code.names())
    before = f"{source[:begin]}}}\n{_HELPERS}\nnamespace cxxrtl_design {{\n\n{structure}"
    rest = "".join([source[end:first], *calls, source[stop:]])
    rest = rest.replace(f"\n{_RESET}", f"\n{_ONCE}{_RESET}", 1)
    return Source(
        f"{before}\n}} // namespace cxxrtl_design\n",
        f"namespace cxxrtl_design {{\n{rest}{_LATCH}",
        [f"namespace cxxrtl_design {{\n{part}}}\n" for part in code.functions],
    )


def _in_bases(text: str, first: Iterable[str]) -> str:
    """A class with most of its members in base classes.

    g++ compares each member of a class with those before it, which takes 20 s for f200's.

    Args:
        text: the class.
        first: members that shall lie side by side in this order.
    """
    places = {name: place for place, name in enumerate(first)}
    members: list[tuple[int, str]] = []
    rest = []
    pending = ""
    for line in text.splitlines(keepends=True):
        pending += line
        if found := _MEMBER.match(line):
            members.append((places.get(found[1], len(places)), pending))
        elif line.startswith("\t//"):
            continue
        else:
            rest.append(pending)
        pending = ""
    lines = [line for _, line in sorted(members, key=lambda member: member[0])]
    bases = [lines[start : start + _MEMBERS] for start in range(0, len(lines), _MEMBERS)]
    structures = "".join(
        f"struct dna_members_{number} {{\n{''.join(members)}}};\n\n"
        for number, members in enumerate(bases)
    )
    names = "".join(f", public dna_members_{number}" for number in range(len(bases)))
    return f"{structures}struct p_top : public module{names} {{\n{''.join(rest)}"
