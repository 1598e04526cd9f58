"""A small machine in a library of cells, by Yosys, abc and OpenSTA."""

import pytest

from harness.hardware.timing.cells import asic, liberty, memories, sta
from harness.hardware.timing.cells.asic import Asic
from harness.hardware.timing.cells.memories import Sram
from sw.errors import DnaError
from tests import skips
from tests.support.timing_designs import Array, Chain, Pair, design


@skips.needs_cells
def test_a_memory_and_what_is_behind_it():
    library = liberty.read(skips.OSU018)
    machine = design(Chain("memory", 10))
    found = {}
    for access in (1.0, 3.0):
        judge = Asic(machine, library, Sram(access=access), 1000.0, lambda text: None)
        found[access] = judge.block("machine")
    slow, quick = found[3.0].block, found[1.0].block
    assert slow.ns == pytest.approx(quick.ns + 2.0, abs=0.01)
    assert slow.fmax_mhz == pytest.approx(1e3 / slow.ns, abs=0.01)
    (longest, *_) = found[1.0].paths
    assert longest.ns == quick.ns > 1.0
    assert longest.start.startswith("$signature__data") and longest.end.startswith("o")
    # 20 registers of 96 and what is between them; the memory has no area.
    assert 20 * 96 <= quick.area["cells"] <= 25 * 96 + 40 * 60
    assert sum(found[1.0].area.values()) == pytest.approx(quick.area["cells"], abs=1)


@skips.needs_cells
def test_a_border_has_a_register_where_one_is():
    library = liberty.read(skips.OSU018)
    judge = Asic(design(Pair()), library, Sram(), 1000.0, lambda text: None)
    judged = judge.block("sink")
    starts = {path.start.partition("[")[0] for path in judged.paths}
    assert starts == {"sink.kept", "sink.plain"}
    assert judged.block.fmax_mhz > 100


def test_without_the_program(monkeypatch):
    monkeypatch.setattr(sta, "PROGRAM", "no-such-sta")
    with pytest.raises(DnaError, match=r"OpenSTA is not there, .* `apt-get install opensta`"):
        sta.version()


@skips.needs_cells
def test_what_is_there_often_is_judged_once(monkeypatch):
    """As a box with the times at its pins; if logic leads through it, it is judged in its place."""
    library = liberty.read(skips.OSU018)
    machine = design(Array(through=False))
    found = {}
    for often in (5, 4):
        monkeypatch.setattr(asic, "OFTEN", often)
        judge = Asic(machine, library, Sram(), 1000.0, lambda text: None)
        found[often] = judge.block("machine")
    whole, boxed = found[5].block, found[4].block
    assert boxed.ns == pytest.approx(whole.ns, rel=0.15)
    assert boxed.area["cells"] == pytest.approx(whole.area["cells"], rel=0.1)
    (longest, *_) = found[4].paths
    assert longest.start.startswith("element_")

    open_one = design(Array(through=True))
    judge = Asic(open_one, library, Sram(), 1000.0, lambda text: None)
    stubs, boxes = judge._boxes("dna")
    assert not stubs and set(boxes) == {memories.SRAM_OUT, memories.SRAM_IN}


@skips.needs_cells
def test_what_opensta_objects_to_is_an_error(tmp_path):
    (tmp_path / "cells.lib").write_text("library (x) {")
    (tmp_path / "boxes.lib").write_text(memories.library(memories.boxes(Sram())))
    netlist = "module block (p0); input p0; NONE c (.A(p0)); endmodule\n"
    (tmp_path / sta.NETLIST).write_text(netlist)
    with pytest.raises(DnaError, match="OpenSTA failed"):
        sta.longest("p0", tmp_path, 1)
    assert sta.version()[0].isdigit()
