"""What CXXRTL is known to write; nothing else is taken for granted.

:mod:`sim.rtl.fast.split_eval` puts statements in another order, by the names that each reads and
writes. A line of another form might hide one of them, and the simulator would be wrong without a
word. So every line is looked at: what it names must be a wire, a register or a memory of the
design, or a word of CXXRTL's that is known to change nothing but what stands left of `` = ``.
"""

from __future__ import annotations

import re

from sim.yosys import unexpected

NAME = re.compile(r"\b((?:memory_)?[pi]_\w+)(\.next\b)?")
"""A wire, register or memory, and whether it is the next value of it."""

TARGETS = re.compile(r"^\t+((?:[\w.<>,()]| (?!=))+) = ")
"""What stands left of an assignment."""

UPDATE = re.compile(r"\b(memory_\w+)\.update\((?=.*, (\d+)\);$)", re.MULTILINE)
"""A write to a memory, and its priority. Such a line names the memory only to write to it."""

WRITE = re.compile(r"^(\t+)(memory_\w+)\.update\(([\w.]+), (.*)\);\n", re.MULTILINE)
"""A line that writes to a memory: the place in it, then value, mask and priority."""

_WORD = re.compile(r"[A-Za-z_]\w*")
_STRING = re.compile(r'"[^"]*"')
_NUMBER = re.compile(r"\b(?:0x[0-9a-f]+|\d+)u?\b")
_KNOWN = re.compile(
    r"(?:memory_)?[pi]_\w+|tmp_\d+|posedge_p_clk"
    r"|value|curr|next|slice|concat|val|repeat|update|valid|index|memory_index|CXXRTL_ASSERT"
    r"|if|else|auto|const|true|false|bool|this|converged"
    r"|(?:add|sub|mul|div|divfloor|mod|modfloor|and|or|xor|xnor|not|neg|pos|eq|ne|eqx|nex|lt|le|gt"
    r"|ge|shl|shr|sshl|sshr|shift|shiftx|logic_(?:and|or|not)|reduce_(?:and|or|xor|xnor|bool))"
    r"_[us]{1,2}|reduce_(?:and|or|xor|xnor|bool)|logic_(?:and|or|not)"
)
_REFERENCE = re.compile(r"\t+const value<\d+> &tmp_\d+ = ")
_MEMBER = re.compile(
    r"\t(?:(?:/\*(?:input|output|outline)\*/ )?(?:value|wire)<\d+> [pi]_\w+(?: \{.*\})?;"
    r"|memory<\d+> memory_p_\w+ \{ \d+u \};"
    r"|value<1> prev_p_\w+;|bool (?:pos|neg)edge_p_\w+\(\) const \{|\}|//.*)"
)
_LAST_MEMBER = "\tp_top(interior) {"


def check_statements(text: str) -> None:
    """Look at the lines of ``p_top::eval``.

    Raises:
        DnaError: one of them has another form than those known.
    """
    for line in text.splitlines():
        if line.lstrip().startswith("//"):
            continue
        code = _NUMBER.sub("", _STRING.sub("", line))
        strange = [word for word in _WORD.findall(code) if not _KNOWN.fullmatch(word)]
        if strange:
            raise unexpected(f"{strange[0]!r} in the line {line.strip()[:80]!r}")
        assignments = line.count(" = ")
        if assignments and not TARGETS.match(line) and not _REFERENCE.match(line):
            raise unexpected(f"the assignment {line.strip()[:80]!r}")
        if assignments > 1 or re.search(r"[-+*/|&^]=|\+\+|--", code):
            raise unexpected(f"two assignments in {line.strip()[:80]!r}")


def check_members(text: str) -> None:
    """Look at the members of ``struct p_top`` that hold the design's state.

    Raises:
        DnaError: one of them is none of those known.
    """
    for line in text[: text.index(_LAST_MEMBER)].splitlines():
        if line.startswith("\t") and not line.startswith("\t\t") and not _MEMBER.fullmatch(line):
            raise unexpected(f"the member {line.strip()[:80]!r}")
