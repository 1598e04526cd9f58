"""Cuts the one function that CXXRTL generates for a design into several.

g++ takes much longer for one function of many thousand statements than for all of them in functions
of moderate size. What is computed in one part and read in another becomes a member.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

PART_CHARACTERS = 100_000
"""A design whose function is not longer than two parts stays as it is."""

_HEAD = "bool p_top::eval(performer *performer) {\n"
_CLASS = "struct p_top : public module {\n"
_LOCAL = re.compile(r"^\t(value<\d+> (\w+);)\n", re.MULTILINE)
_NAME = re.compile(r"\b[pi]_\w+")


def split_eval(source: str, part_characters: int = PART_CHARACTERS) -> str:
    """The same C++ with ``p_top::eval`` in parts, executed in order.

    Args:
        source: what ``write_cxxrtl -g0`` wrote.
        part_characters: about how long a part is.
    """
    start = source.index(_HEAD) + len(_HEAD)
    stop = source.index("\treturn converged;\n}\n", start)
    body = source[start:stop]
    first = body.index("\n", body.index("bool converged")) + 1
    head, statements = body[:first], body[first:]
    clocks = re.findall(r"^\tbool \w+ = this->\w+\(\);\n", statements, re.MULTILINE)
    if len(body) <= 2 * part_characters or "converged" in statements:
        return source
    for clock in clocks:
        statements = statements.replace(clock, "", 1)
    declarations = {name: line for line, name in _LOCAL.findall(statements)}
    parts = list(_parts(_LOCAL.sub("", statements), part_characters))
    readers = defaultdict(set)
    for number, part in enumerate(parts):
        for name in set(_NAME.findall(part)) & declarations.keys():
            readers[name].add(number)
    members = [declarations[name] for name, where in readers.items() if len(where) > 1]
    functions = []
    for number, part in enumerate(parts):
        own = [f"\t{declarations[n]}\n" for n, where in readers.items() if where == {number}]
        lines = "".join([*clocks, *own])
        functions.append(f"void p_top::eval_{number}(performer *performer) {{\n{lines}{part}}}\n\n")
    for number in range(len(parts)):
        members.append(f"void eval_{number}(performer *performer);")
    inside = "".join(f"\t{member}\n" for member in members)
    calls = "".join(f"\teval_{number}(performer);\n" for number in range(len(parts)))
    before = source[: start - len(_HEAD)].replace(_CLASS, _CLASS + inside, 1)
    return "".join([before, *functions, _HEAD, head, calls, source[stop:]])


def _parts(statements: str, size: int) -> Iterator[str]:
    """Runs of whole statements; a comment stands before each."""
    lines: list[str] = []
    length = 0
    comment = False
    for line in statements.splitlines(keepends=True):
        begins = line.startswith("\t//") and not comment
        if begins and length >= size:
            yield "".join(lines)
            lines, length = [], 0
        lines.append(line)
        length += len(line)
        comment = line.startswith("\t//")
    yield "".join(lines)
