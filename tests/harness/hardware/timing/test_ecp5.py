"""What nextpnr reports, read; it needs minutes itself (`make timing`)."""

import json

import pytest

from harness.hardware import trellis
from harness.hardware.timing import ecp5
from sw.errors import DnaError
from tests.support.timing_designs import Pair, design


def step(kind, delay, start, end, net=None):
    found = {"type": kind, "delay": delay, "from": {"cell": start}, "to": {"cell": end}}
    return found if net is None else {**found, "net": net}


REPORT = {
    "fmax": {"clk": {"achieved": 80.0, "constraint": 100}},
    "utilization": {
        "TRELLIS_COMB": {"used": 24, "available": 83640},
        "DP16KD": {"used": 0, "available": 208},
    },
    "critical_paths": [
        {
            "from": "posedge clk",
            "to": "posedge clk",
            "path": [
                step("clk-to-q", 0.5, "source.kept_TRELLIS_FF_Q_1", "source.kept_TRELLIS_FF_Q_1"),
                step("routing", 4.0, "source.kept_TRELLIS_FF_Q_1", "x_LUT4_Z", "source.kept[1]"),
                step("logic", 0.25, "x_LUT4_Z", "x_LUT4_Z"),
                step("routing", 7.75, "x_LUT4_Z", "sink.o_TRELLIS_FF_Q_3", "sink.mixed[2]"),
                step("setup", 0.0, "sink.o_TRELLIS_FF_Q_3", "sink.o_TRELLIS_FF_Q_3"),
            ],
        },
        {"from": "<async>", "to": "posedge clk", "path": []},
    ],
}
NETLIST = {
    "cells": {
        "a": {
            "type": "LUT4",
            "port_directions": {"A": "input", "Z": "output"},
            "connections": {"A": [2], "Z": [3]},
        },
        "b": {
            "type": "TRELLIS_FF",
            "port_directions": {"DI": "input", "Q": "output"},
            "connections": {"DI": [3], "Q": [4]},
        },
    },
    "ports": {},
    "netnames": {"sink.o": {"bits": [4]}},
}


@pytest.fixture
def tools(monkeypatch):
    """Yosys and nextpnr that answer at once."""
    answers = {"report": json.dumps(REPORT)}
    monkeypatch.setattr(ecp5, "version", lambda: "0.11.1")
    netlist = json.dumps({"modules": {"dna": NETLIST}})
    monkeypatch.setattr(trellis, "synthesise", lambda *_: netlist)
    monkeypatch.setattr(ecp5, "_route", lambda *_: answers["report"])
    return answers


def test_a_report(tools):
    found = ecp5.routed(design(Pair()), lambda text: None)
    assert (found.block.fmax_mhz, found.block.ns) == (80.0, 12.5)
    assert found.block.area == {"COMB": 24.0}
    (path,) = found.paths
    assert (path.start, path.end, path.block) == ("source.kept[1]", "sink.o", "sink")
    assert (path.levels, path.ns, path.through) == (2.0, 12.5, ("sink.mixed[2]",))
    assert found.area == {"sink": {"LUT4": 1.0, "FF": 1.0}}


def test_no_clock_is_no_proof(tools):
    tools["report"] = json.dumps({**REPORT, "fmax": {}})
    with pytest.raises(DnaError, match="found no path between two registers"):
        ecp5.routed(design(Pair()), lambda text: None)


def test_without_nextpnr(monkeypatch):
    monkeypatch.setattr(trellis, "PACKAGE", "no_such_package")
    with pytest.raises(DnaError, match=r"nextpnr for ECP5 is missing; install it: .*\[timing\]"):
        ecp5.version()
