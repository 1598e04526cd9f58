"""Cells compiled into loops against Amaranth's simulator, which knows of no loops."""

import numpy as np
import pytest

from hw import rtlil
from hw.config import PRESETS
from hw.conv.systolic_array import SystolicArray
from sim import yosys
from sim.memory.stalls import Stalls
from sim.rtl import library
from sim.rtl.fast import lane_groups
from sim.rtl.fast.lane_delays import with_delays
from sim.rtl.fast.lane_kinds import find_kinds
from tests.sim.rtl.fast.lanes import COLUMNS, ROWS, STAGES, Lanes
from tests.sim.rtl.streams.engines import ENGINES, open_engine


def instances(text, kind):
    return text.count(f"cell {kind.module} ")


@pytest.mark.parametrize(("seed", "closed"), [(0, 0), (1, 0), (2, 2), (3, 2)])
@pytest.mark.parametrize("stalls", [Stalls(0, 0), Stalls(0.4, 3)], ids=["flowing", "stalled"])
def test_bits_and_cycles_are_those_of_the_simulator(seed, closed, stalls):
    """With ``closed``, constants lie between the places of a run that is copied at once.

    Of the instances eight are computed as vectors, and seven one by one.
    """
    words = np.random.default_rng(seed).integers(0, 256, (300, 5), dtype=np.uint8)
    text = rtlil.convert(Lanes(seed=seed, closed=closed))
    kinds = find_kinds(text)
    assert [instances(text, kind) for kind in kinds] == [ROWS * COLUMNS]
    assert kinds[0].lane.body.count("\n") >= lane_groups._MIXED_BODY
    fast, slow = (
        open_engine(engine, Lanes, seed=seed, closed=closed).run(
            {"values": words}, {"sums": 300}, stalls=stalls
        )
        for engine in ENGINES
    )
    assert fast.cycles == slow.cycles
    assert np.array_equal(fast.outputs["sums"], slow.outputs["sums"])
    assert len(np.unique(fast.outputs["sums"], axis=0)) > 30


def test_a_loop_rests_only_while_nothing_changes(monkeypatch, tmp_path):
    """Of every loop, not of long ones alone; words are alike for some cycles, then others come."""
    monkeypatch.setattr(lane_groups, "_LONG_BODY", 0)
    monkeypatch.setattr(library, "cache_folder", lambda: tmp_path)
    words = np.random.default_rng(5).integers(0, 256, (30, 5), dtype=np.uint8)
    words = np.repeat(words, 20, axis=0)
    fast, slow = (
        open_engine(engine, Lanes, seed=1).run(
            {"values": words}, {"sums": len(words)}, stalls=Stalls(0.4, 3)
        )
        for engine in ENGINES
    )
    assert fast.cycles == slow.cycles
    assert np.array_equal(fast.outputs["sums"], slow.outputs["sums"])


def test_cells_that_pass_an_input_on_are_left_alone():
    assert find_kinds(rtlil.convert(Lanes(seed=0, passes=1))) == []


def test_chains_of_registers_become_a_loop():
    text = yosys.transform(rtlil.convert(Lanes(seed=0)), "proc\nflatten\nopt_clean", "write_rtlil")
    flat, kinds = with_delays(text, [])
    assert [(kind.module, instances(flat, kind)) for kind in kinds] == [
        ("\\delay_13", ROWS * (STAGES - 1))
    ]


def test_an_array_is_its_cells():
    """Whatever the cells at the edges have unconnected, all become a loop."""
    config = PRESETS["micro"]
    array = SystolicArray(rows=config.rows, columns=config.columns)
    text = rtlil.convert(array)
    assert [instances(text, kind) for kind in find_kinds(text)] == [config.rows * config.columns]


def test_few_cells_are_not_worth_it():
    assert find_kinds(rtlil.convert(SystolicArray(rows=2, columns=2))) == []
