import itertools
import random

import pytest
from amaranth.hdl import EnableInserter, Module, Signal
from amaranth.sim import Simulator

from tests.hw.support.pipeline import PipelineControl


def run(latency, *, offers, takes, seed=0, cycles=400):
    """Words through a delay line: when each entered, (word, when) it left, and still cycles."""
    m, line = Module(), Module()
    m.submodules.control = control = PipelineControl(latency=latency)
    m.submodules.line = EnableInserter(control.moves)(line)
    stages = [Signal(16, name=f"stage_{i}") for i in range(latency + 1)]
    for before, after in itertools.pairwise(stages):
        line.d.sync += after.eq(before)
    draw = random.Random(seed)
    entered, left, still = [], [], []

    async def bench(ctx):
        for cycle in range(cycles):
            ctx.set(control.enters, draw.random() < offers)
            ctx.set(control.ready, draw.random() < takes)
            ctx.set(stages[0], cycle)
            if ctx.get(control.enters) and ctx.get(control.free):
                entered.append(cycle)
            if ctx.get(control.valid) and ctx.get(control.ready):
                left.append((ctx.get(stages[-1]), cycle))
            if not ctx.get(control.moves):
                still.append(cycle)
            inside = len(entered) - len(left)
            assert ctx.get(control.free) == (not ctx.get(control.valid) or ctx.get(control.ready))
            assert inside <= latency + 1
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return entered, left, still


@pytest.mark.parametrize("latency", [1, 2, 5])
@pytest.mark.parametrize(("offers", "takes"), [(1, 1), (0.5, 1), (1, 0.5), (0.3, 0.3)])
def test_words_come_out_in_order_and_none_is_lost(latency, offers, takes):
    entered, left, _ = run(latency, offers=offers, takes=takes)
    assert [word for word, _ in left] == entered[: len(left)]
    assert len(left) >= len(entered) - latency - 1
    assert len(left) > 30
    assert all(cycle >= word + latency for word, cycle in left)


def test_a_word_per_cycle_after_the_latency():
    entered, left, still = run(4, offers=1, takes=1)
    assert entered == list(range(400))
    assert left == [(word, word + 4) for word in range(396)]
    assert not still


def test_an_empty_pipeline_stands_still():
    entered, left, still = run(3, offers=0, takes=1)
    assert (entered, left, still) == ([], [], list(range(400)))


@pytest.mark.parametrize("latency", [0, -1, "two"])
def test_a_latency_that_is_none_is_refused(latency):
    with pytest.raises(ValueError, match=f"latency must be a positive integer, not {latency!r}"):
        PipelineControl(latency=latency)
