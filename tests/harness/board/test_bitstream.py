"""What is made of place and route: a bitstream, or a line."""

import json

import pytest

from harness.board import bitstream
from harness.board.boards import ULX3S
from harness.board.sources import PINS, VERILOG
from harness.hardware import trellis
from harness.hardware.timing import cache
from sw.errors import DnaError

REPORT = {
    "fmax": {
        "$glbnet$clkout0": {"achieved": 47.5, "constraint": 40.0},
        "$glbnet$clk25$TRELLIS_IO_IN": {"achieved": 31.0, "constraint": 25.0},
    },
    "utilization": {
        "TRELLIS_COMB": {"used": 30, "available": 100},
        "DP16KD": {"used": 0, "available": 208},
    },
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(trellis, "version", lambda extra: "1")
    (tmp_path / VERILOG).write_text("module dna_board; endmodule\n")
    (tmp_path / PINS).write_text("")
    monkeypatch.setattr(trellis, "synthesise", lambda *_: "netlist")

    def run(tool, arguments, folder, what, progress):
        progress(tool)
        if tool == "ecppack":
            (folder / "top.bit").write_bytes((folder / "top.config").read_bytes()[::-1])
            return
        assert (folder / "netlist.json").read_text() == "netlist"
        (folder / "report.json").write_text(json.dumps(REPORT))
        (folder / "top.config").write_text("abc")

    monkeypatch.setattr(trellis, "run", run)
    return tmp_path


def build(folder, mhz, told=None):
    """Ask for ``mhz``, which the PLL gives nearly."""
    REPORT["fmax"]["$glbnet$clkout0"]["constraint"] = mhz * 1.005
    return bitstream.build(
        ULX3S, folder, round(mhz * 1e6), seed=1, progress=([] if told is None else told).append
    )


def test_a_design_that_reaches_its_clock(folder):
    told = []
    found = build(folder, 47.5, told)
    assert (found.content, found.mhz) == (b"cba", 47.5)
    assert found.used == {"TRELLIS_COMB": (30, 100)}
    assert told == ["nextpnr_ecp5", "packing", "ecppack"]
    # Placed and routed once.
    told.clear()
    assert build(folder, 47.5, told) == found
    assert told == ["packing", "ecppack"]


def test_a_design_that_misses_its_clock_is_no_bitstream(folder):
    told = []
    with pytest.raises(DnaError, match=r"47.50 MHz and not the 48 MHz .* no bitstream was written"):
        build(folder, 48, told)
    assert "ecppack" not in told


@pytest.mark.parametrize(
    ("clocks", "said"),
    [
        ({"a": (50, 40), "b": (24.5, 25)}, r"b: 24.50 of 25 MHz"),
        ({"b": (30, 25)}, r"nothing of a clock of 40 MHz"),
        ({}, r"nothing of a clock of 40 MHz"),
    ],
)
def test_every_clock_is_looked_at(folder, monkeypatch, clocks, said):
    named = ("achieved", "constraint")
    fmax = {name: dict(zip(named, clock, strict=True)) for name, clock in clocks.items()}
    monkeypatch.setitem(REPORT, "fmax", fmax)
    with pytest.raises(DnaError, match=rf"not reached \(.*{said}\); no bitstream was written"):
        bitstream.build(ULX3S, folder, 40_000_000, seed=1, progress=lambda step: None)
