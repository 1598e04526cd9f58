"""Finds the small modules that a design has many instances of, and takes them out of it.

A systolic array is hundreds of equal cells whose outputs are all registers. Flattened, each is
twenty statements that the compiler must read and the processor must execute one by one. A module of
which there are :data:`MIN_INSTANCES` and that :mod:`sim.rtl.fast.lane_code` can translate stays out
of the flat design instead, and all its instances are computed in one loop
(:mod:`sim.rtl.fast.lane_groups`). Only an output that follows from the inputs without a register in
between would need another order, and a module with one is left alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Mapping

from sim import yosys
from sim.rtl.fast.lane_code import Lane, translate
from sim.rtl.fast.netlist import MODULE, UnsupportedError, parse

MIN_INSTANCES = 8
_SUBMODULE = re.compile(r"^  cell (\\\S+) ", re.MULTILINE)
_MEMORY = re.compile(r"^  memory ", re.MULTILINE)
_PORT = re.compile(r"^  wire (?:width \d+ )?(?:input|output) ")
PASSES = """\
proc
flatten
opt_expr
opt_merge
opt_muxtree
opt_reduce
opt_expr -mux_undef -undriven -mux_bool
opt_clean -purge
"""


@dataclasses.dataclass(frozen=True)
class Kind:
    """A module to be computed in a loop over its instances."""

    module: str
    lane: Lane


def find_kinds(text: str) -> list[Kind]:
    """The modules in a hierarchical design to take out of it, whole with what is inside them.

    Args:
        text: RTLIL of the design, a module before those that it has instances of.
    """
    modules = dict(MODULE.findall(text))
    below = {name: _SUBMODULE.findall(body) for name, body in modules.items()}
    counts = Counter(dict.fromkeys([*modules][:1], 1))
    plain: dict[str, bool] = {}
    for name in modules:
        for each in below[name]:
            counts[each] += counts[name]
    for name, body in reversed(modules.items()):
        plain[name] = not _MEMORY.search(body) and all(plain[each] for each in below[name])
    candidates = [name for name in modules if plain[name] and counts[name] >= MIN_INSTANCES]
    lanes = _translated({name: modules[name] for name in candidates})
    kinds = []
    for name in candidates:
        if name in lanes and counts[name] >= MIN_INSTANCES:
            kinds.append(Kind(name, lanes[name]))
            _remove(counts, below, name, counts[name])
    return kinds


def _translated(modules: Mapping[str, str]) -> dict[str, Lane]:
    """Those of ``modules`` that can be computed in a loop."""
    lanes = {}
    if modules:
        text = "".join(f"module {name}\n{body}end\n" for name, body in modules.items())
        for name, body in MODULE.findall(yosys.transform(text, PASSES, "write_rtlil")):
            with contextlib.suppress(UnsupportedError):
                lanes[name] = translate(parse(body))
    return lanes


def _remove(
    counts: Counter[str], below: Mapping[str, list[str]], name: str, instances: int
) -> None:
    """Count no longer what is in so many instances of a module."""
    for each in below[name]:
        counts[each] -= instances
        _remove(counts, below, each, instances)


def hide(text: str, kinds: Iterable[Kind]) -> str:
    """The design with nothing inside the modules of ``kinds``, which ``flatten`` then leaves."""
    hidden = {kind.module for kind in kinds}

    def empty(found: re.Match[str]) -> str:
        name, body = found.groups()
        if name not in hidden:
            return found[0]
        ports = [line for line in body.split("\n") if _PORT.match(line)]
        return "\n".join(["attribute \\blackbox 1", f"module {name}", *ports, "end"])

    return MODULE.sub(empty, text)
