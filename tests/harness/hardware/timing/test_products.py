"""Products of LUTs, where a device has too few multipliers."""

import pytest

from harness.hardware import trellis
from harness.hardware.timing import ecp5, products
from sim import yosys
from tests.support.timing_designs import Array, Arrays, design


def test_as_many_as_do_not_fit():
    machine = design(Array(through=False, count=4))
    assert [(p.bits, p.multipliers) for p in products.products(machine)] == [(64.0, 1)] * 4
    assert products.of_luts(machine, 4) == []
    assert products.of_luts(machine, 1) == products.products(machine)[:3]


@pytest.mark.parametrize(("width", "pieces"), [(8, 1), (18, 1), (19, 2), (35, 2), (36, 3)])
def test_a_wide_factor_takes_several(width, pieces):
    assert products._pieces(width) == pieces


def test_yosys_finds_them(monkeypatch):
    """By the names that they have once the machine is flat; no other product is made of LUTs."""
    machine = design(Arrays(count=2, elements=2))
    scripts = []
    monkeypatch.setattr(ecp5, "_MULTIPLIERS", 1)
    monkeypatch.setattr(ecp5, "version", lambda: "0.11.1")
    monkeypatch.setattr(trellis, "synthesise", lambda script, *_: scripts.append(script) or "{}")
    monkeypatch.setattr(ecp5, "_route", lambda *_: "{}")
    with pytest.raises(KeyError):
        ecp5.routed(machine, lambda text: None)
    passes = scripts[0].partition("-run begin:coarse\n")[2].partition("opt_expr")[0]
    netlist = yosys.transform(machine.text("dna"), f"hierarchy -top dna\n{passes}", "write_rtlil")
    assert netlist.count("cell $mul ") == 1
    assert netlist.count("cell $macc") == 3
