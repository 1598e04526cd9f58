"""C++ of a component: Amaranth -> RTLIL -> Yosys (flat, optimised) -> CXXRTL -> parts and loops."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sim import yosys
from sim.rtl.fast.lane_delays import with_delays
from sim.rtl.fast.lane_feed import NO_GROUPS
from sim.rtl.fast.lane_groups import Groups
from sim.rtl.fast.lane_kinds import find_kinds, hide
from sim.rtl.fast.split_eval import Source, split_eval

# `opt` but for `opt_dff`: g++ takes longer for the branches that enables become, and the result is
# no faster. `opt_reduce -full` takes most of the time and gives as many cells.
_FLATTEN = """\
hierarchy -top top
proc
flatten
opt_expr
opt_merge
opt_muxtree
opt_reduce
opt_expr -mux_undef -undriven -mux_bool
opt_clean{purge}
"""
# CXXRTL orders a design by whole nets. Where one bit of a net depends on another bit of it, it
# finds a loop that is none and evaluates everything twice. A net for each driver leaves no such
# loops.
_SPLIT = "splitnets -driver"
_NO_DEBUG, _FULL_DEBUG = "write_cxxrtl -g0", "write_cxxrtl -g4"


def generate(component: Any, *, waves: bool) -> Source:
    """C++ of a component: what CXXRTL generates, ``dna_latch`` and ``dna_pins`` (see design.h).

    The clock domain has no reset: a run starts from the initial state. Pins have the names of the
    component's ports, parts of a name joined by two underscores.

    Args:
        waves: keep names that only people read, and with them whole nets.

    Raises:
        DnaError: Yosys failed or writes something that is not expected.
    """
    from amaranth.hdl import ClockDomain, Module, Value

    from hw import rtlil

    top = Module()
    top.domains.sync = domain = ClockDomain("sync", reset_less=True)
    top.submodules.dut = component
    ports = [Value.cast(value) for *_, value in component.signature.flatten(component)]
    text = rtlil.convert(top, ports=[domain.clk, *ports])
    pins = _pins({port.name: len(port) for port in ports})
    if waves:
        source = yosys.transform(text, _FLATTEN.format(purge=""), _FULL_DEBUG)
        return _whole(source, pins + NO_GROUPS)
    kinds = find_kinds(text)
    groups = None
    if kinds:
        flat = yosys.transform(hide(text, kinds), _FLATTEN.format(purge=" -purge"), "write_rtlil")
        groups = Groups(*with_delays(flat, kinds))
        source = yosys.transform(groups.text, _SPLIT, _NO_DEBUG)
    else:
        source = yosys.transform(text, _FLATTEN.format(purge=" -purge") + _SPLIT, _NO_DEBUG)
    parts = split_eval(source)
    code = NO_GROUPS if groups is None else groups.code(told=parts is not None)
    if parts is None:
        return _whole(source, pins + code)
    return Source(parts.declarations, parts.main + pins + code, parts.parts)


def _whole(source: str, more: str) -> Source:
    return Source("", source + _latch(source) + more)


def _pins(widths: Mapping[str, int]) -> str:
    """The ports by name; CXXRTL doubles underscores in the names of members."""
    pins = "\n".join(
        f'        {{"{name}", {{chunks(top.p_{name.replace("_", "__")}), {width}}}}},'
        for name, width in widths.items()
    )
    return f"""
#include <map>
#include <string>
struct DnaPin {{
    uint32_t *chunks;
    uint32_t width;
}};
template<size_t Bits> static uint32_t *chunks(cxxrtl::value<Bits> &value) {{ return value.data; }}
template<size_t Bits> static uint32_t *chunks(cxxrtl::wire<Bits> &wire) {{ return wire.curr.data; }}
static std::map<std::string, DnaPin> dna_pins(cxxrtl_design::p_top &top) {{
    return {{
{pins}
    }};
}}
"""


def _latch(source: str) -> str:
    """A commit without comparisons, which in ``wire::commit`` are branches nobody can predict."""
    body = source[source.index("bool commit(ObserverT &observer) {") :]
    body = body[: body.index("return changed;")]
    names = re.findall(r"if \((\w+)\.commit\(observer\)\) changed = true;", body)
    if len(names) != len(
        re.findall(r"^\t(?:/\*output\*/ )?(?:wire|memory)<", source, re.MULTILINE)
    ):
        raise yosys.unexpected("another commit()")
    latches = "\n".join(f"    latch(top.{name});" for name in names)
    return f"""
template<size_t Bits> static void latch(cxxrtl::wire<Bits> &wire) {{ wire.curr = wire.next; }}
template<size_t Width> static void latch(cxxrtl::memory<Width> &memory) {{
    cxxrtl::observer observer;
    memory.commit(observer);
}}
static void dna_latch(cxxrtl_design::p_top &top) {{
{latches}
}}
"""
