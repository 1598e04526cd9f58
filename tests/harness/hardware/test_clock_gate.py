"""Every block keeps its levels, and its clock in a library of cells."""

import pytest

from harness.hardware.timing import cache
from harness.hardware.timing.cells import liberty
from harness.hardware.timing.cells.asic import Asic
from harness.hardware.timing.cells.memories import Sram
from harness.hardware.timing.luts import levels
from harness.hardware.timing.luts.levels import Levels
from harness.hardware.timing.netlist import design
from hw.config import PRESETS
from tests import skips
from tests.support import held, timing_designs

LEVELS, CELLS = held.read("levels"), held.read("osu018")


def silent(text):
    pass


@pytest.mark.parametrize("machine", LEVELS)
def test_no_block_has_more_levels_than_before(machine):
    elaborated = design.elaborate(PRESETS[machine], silent)
    judge = Levels(elaborated, silent)
    assert not held.worse(judge, elaborated.blocks, LEVELS[machine])


@skips.needs_cells
@pytest.mark.parametrize("machine", CELLS)
def test_no_block_is_slower_in_cells_than_before(machine):
    elaborated = design.elaborate(PRESETS[machine], silent)
    judge = Asic(elaborated, liberty.read(skips.OSU018), Sram(), 1000.0, silent)
    blocks = {name: elaborated.module_of(name) for name in CELLS[machine]}
    assert blocks and not held.worse(judge, blocks, CELLS[machine])


def test_what_gets_worse_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "folder", lambda: tmp_path)
    machine = timing_designs.design(timing_designs.Pair())
    judge = Levels(machine, silent)
    blocks = {"sink": machine.module_of("sink"), "source": machine.module_of("source")}
    now = {"sink": held.figures(judge, "sink")}
    assert held.worse(judge, blocks, now) == ["source is not held"]
    del blocks["source"]
    assert not held.worse(judge, blocks, now)
    monkeypatch.setattr(levels, "_RECIPE", "another")
    assert not held.worse(judge, blocks, now)  # judged anew, and found to be the same
    now["sink"]["levels"] -= 0.25
    (line,) = held.worse(judge, blocks, now)
    assert line == "sink: levels 1.25, held are 1.0: sink.kept[0] -> sink.o[4]"
