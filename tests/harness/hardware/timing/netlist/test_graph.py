"""Paths of hand-made netlists."""

import pytest

from harness.hardware.timing.netlist.graph import CellTiming, Names, Netlist, without_bit
from sw.errors import DnaError


def cell(kind, **pins):
    """``pins``: net, or the net and ``out``."""
    return {
        "type": kind,
        "connections": {p: [b[0] if isinstance(b, tuple) else b] for p, b in pins.items()},
        "port_directions": {
            p: "output" if isinstance(b, tuple) else "input" for p, b in pins.items()
        },
    }


def model(kind, cell):
    pins = cell["connections"]
    if kind == "FF":
        return CellTiming(starts=((pins["Q"][0], 0.5),), ends=((pins["D"][0], 0.25, "D"),))
    ins = tuple(bits[0] for pin, bits in pins.items() if cell["port_directions"][pin] == "input")
    (out,) = (bits[0] for pin, bits in pins.items() if cell["port_directions"][pin] == "output")
    return CellTiming(arcs=((ins, out, 1.0),))


MODULE = {
    "ports": {"i": {"direction": "input", "bits": [2]}, "o": {"direction": "output", "bits": [5]}},
    "cells": {
        "first": cell("FF", D=2, Q=(3, "out")),
        "g": cell("AND", A=3, B=2, Y=(4, "out")),
        "h": cell("AND", A=4, B="1", Y=(5, "out")),
        "last": cell("FF", D=5, Q=(6, "out")),
        "scope": {"type": "$scopeinfo", "connections": {}, "port_directions": {}},
    },
    "netnames": {
        "state": {"bits": [3, 6]},
        "b.alias": {"bits": [3]},
        "$hidden": {"bits": [4]},
        "sum": {"bits": [5]},
    },
}


def test_paths_from_registers_and_from_ports():
    netlist = Netlist(MODULE, model)
    inside = netlist.arrivals({})
    assert inside.cost(5) == 2.5
    assert inside.path(5) == (3, 4, 5)
    assert inside.cost(2) is None
    entering = netlist.arrivals({2: 0.0}, registers=False)
    assert (entering.cost(5), entering.path(5)) == (2.0, (2, 4, 5))
    both = netlist.arrivals({2: 3.0})
    assert both.path(5) == (2, 4, 5)
    assert {(bit, cost, cell) for bit, cost, cell, _ in netlist.ends()} == {
        (2, 0.25, "first"),
        (5, 0.25, "last"),
    }
    assert netlist.levels_behind() == {2: 2.25, 3: 2.25, 4: 1.25, 5: 0.25}
    assert list(netlist.ports("output")) == [("o", 0, 5)]


def test_a_loop_of_logic_is_refused():
    cells = {"g": cell("AND", A=3, B=2, Y=(4, "out")), "h": cell("AND", A=4, B=2, Y=(3, "out"))}
    netlist = Netlist({**MODULE, "cells": cells}, model)
    with pytest.raises(DnaError, match=r"a loop of logic without a register, at '[gh]'"):
        netlist.arrivals({})


def test_a_long_chain_is_no_recursion():
    cells = {f"c{n}": cell("AND", A=n, B=n, Y=(n + 1, "out")) for n in range(2, 3_000)}
    netlist = Netlist({**MODULE, "cells": dict(reversed(cells.items()))}, model)
    assert netlist.arrivals({2: 0.0}).cost(3_000) == 2_998


def test_registers_give_the_names():
    assert Names(MODULE, {"state"}).of(3) == "state[0]"
    assert Names(MODULE, set()).of(3) == "b.alias"
    assert Names(MODULE, set()).of(4) is None
    assert without_bit("a.b[12]") == "a.b"
