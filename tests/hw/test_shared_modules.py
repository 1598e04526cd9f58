"""Components built once: what is shared, what is not, and that controls around them stay."""

import re

import numpy as np
import pytest
from amaranth.hdl import Cat, Elaboratable, EnableInserter, Module, ResetInserter, Signal
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw import rtlil
from hw.memory.ram import Ram
from hw.shared_modules import share
from sim.memory.stalls import Stalls
from tests.sim.rtl.streams.engines import ENGINES, open_engine

WORDS = 400


class Counter(wiring.Component):
    """Counts from ``start``, in a memory what it was, and since when without a reset."""

    def __init__(self, *, start):
        self.start = start
        super().__init__({"step": In(2), "count": Out(4), "total": Out(4), "unread": Out(4)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=4, depth=4, init=[1, 2])
        write, read = memory.write_port(), memory.read_port()
        count = Signal(4, init=self.start)
        total = Signal(4, reset_less=True)
        m.d.sync += [count.eq(count + self.step), total.eq(total + read.data)]
        m.d.comb += [
            write.en.eq(self.step[0]),
            write.addr.eq(count),
            write.data.eq(count),
            read.addr.eq(count[1:]),
            self.count.eq(count),
            self.total.eq(total),
            self.unread.eq(~count),
        ]
        return m


CONTROLS = (
    lambda counter, enable, reset: counter,
    lambda counter, enable, reset: EnableInserter(enable)(counter),
    lambda counter, enable, reset: ResetInserter(reset)(counter),
    lambda counter, enable, reset: EnableInserter(enable)(ResetInserter(reset)(counter)),
    lambda counter, enable, reset: ResetInserter(reset)(EnableInserter(enable)(counter)),
    lambda counter, enable, reset: EnableInserter(reset)(EnableInserter(enable)(counter)),
)


class Controlled(wiring.Component):
    """Two counters in every kind of control, driven by the bits of words."""

    def __init__(self):
        super().__init__(
            {"words": In(stream.Signature(8)), "states": Out(stream.Signature(16 * len(CONTROLS)))}
        )

    def elaborate(self, platform):
        m = Module()
        taken = Signal()
        m.d.comb += [
            taken.eq(self.words.valid & self.words.ready),
            self.words.ready.eq(~self.states.valid | self.states.ready),
        ]
        seen = []
        for number, control in enumerate(CONTROLS):
            for half in range(2):
                counter = Counter(start=5)
                enable, reset = (self.words.p[4 * half + bit] & taken for bit in (2, 3))
                m.submodules[f"counter_{number}_{half}"] = control(counter, enable, reset)
                m.d.comb += counter.step.eq(
                    self.words.p[4 * half : 4 * half + 2] & taken.replicate(2)
                )
                seen += [counter.count, counter.total]
        with m.If(self.states.ready):
            m.d.sync += self.states.valid.eq(0)
        with m.If(taken):
            m.d.sync += [self.states.p.eq(Cat(*seen)), self.states.valid.eq(1)]
        return m


def test_controls_around_shared_components_act_as_in_amaranth():
    text = rtlil.convert(Controlled())
    assert len(re.findall(r"^module \S*counter_\d_0$", text, re.MULTILINE)) == len(CONTROLS)
    assert len(re.findall(r"^module \S*counter_\d_1$", text, re.MULTILINE)) == 0
    words = np.random.default_rng(1).integers(0, 256, (WORDS, 1), np.uint8)
    fast, slow = (
        open_engine(engine, Controlled).run(
            {"words": words}, {"states": WORDS}, stalls=Stalls(0.2, 1)
        )
        for engine in ENGINES
    )
    assert np.array_equal(fast.outputs["states"], slow.outputs["states"])
    assert len(np.unique(fast.outputs["states"], axis=0)) > WORDS // 2


class Row(wiring.Component):
    """Counters one after another."""

    def __init__(self, starts, *, peek=None, queues=0):
        self.starts = starts
        self.peek = peek
        self.queues = queues
        super().__init__({"step": In(2), "count": Out(4)})

    def elaborate(self, platform):
        m = Module()
        step = self.step
        for number, start in enumerate(self.starts):
            counter = Private(start=start) if self.peek else Counter(start=start)
            m.submodules[f"counter_{number}"] = counter
            m.d.comb += counter.step.eq(step)
            last = number == len(self.starts) - 1
            step = counter.hidden if self.peek and (last or self.peek == "all") else counter.count
        for number in range(self.queues):
            m.submodules[f"queue_{number}"] = queue = fifo.SyncFIFO(width=4, depth=3)
            m.d.comb += [queue.w_data.eq(step), queue.w_en.eq(1), queue.r_en.eq(1)]
            step = queue.r_data
        m.d.comb += self.count.eq(step)
        return m


class Private(Counter):
    """Has something that is not a port."""

    def __init__(self, *, start):
        super().__init__(start=start)
        self.hidden = Signal(4)

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.hidden.eq(self.count)
        return m


def modules(component):
    return re.findall(r"^module \\(\S+)$", rtlil.convert(component), re.MULTILINE)


def test_equal_arguments_make_equal_modules():
    assert modules(Row((1, 1, 1)))[:2] == ["top", "top.counter_0"]
    assert sum("counter" in name and "memory" not in name for name in modules(Row((1, 2, 1)))) == 2


def test_a_module_stands_before_what_is_in_it():
    names = modules(Row((1, 1, 2, 2)))
    assert names.index("top") < names.index("top.counter_0") < len(names)
    assert names[0] == "top"


def test_queues_without_a_signature_are_shared():
    assert sum("queue" in name for name in modules(Row((), queues=3))) == 1


class Queues(wiring.Component):
    """Equal queues one after another; how full they are is read of ``watched`` alone."""

    def __init__(self, *, watched):
        self.watched = watched
        super().__init__(
            {"words": In(stream.Signature(8)), "levels": Out(stream.Signature(8))},
        )

    def elaborate(self, platform):
        m = Module()
        queues = [fifo.SyncFIFOBuffered(width=8, depth=5) for _ in range(2)]
        m.submodules += queues
        first, second = queues
        level = queues[self.watched].level
        m.d.comb += [
            first.w_data.eq(self.words.p),
            first.w_en.eq(self.words.valid),
            self.words.ready.eq(first.w_rdy),
            second.w_data.eq(first.r_data),
            second.w_en.eq(first.r_rdy),
            first.r_en.eq(second.w_rdy),
            self.levels.p.eq(Cat(second.r_data[:5], level)),
            self.levels.valid.eq(second.r_rdy),
            second.r_en.eq(self.levels.ready),
        ]
        return m


@pytest.mark.parametrize("watched", range(2))
def test_whatever_is_read_of_a_queue_is_a_port(watched):
    """``level`` was none, and 0 wherever the queue was not the first of its kind."""
    words = np.random.default_rng(2).integers(0, 256, (WORDS, 1), np.uint8)
    fast, slow = (
        open_engine(engine, Queues, watched=watched).run(
            {"words": words}, {"levels": WORDS}, stalls=Stalls(0.4, 1)
        )
        for engine in ENGINES
    )
    assert np.array_equal(fast.outputs["levels"], slow.outputs["levels"])
    assert len(np.unique(fast.outputs["levels"] >> 5)) > 3


def test_outputs_that_nobody_reads_are_no_ports():
    text = rtlil.convert(Row((1, 1)))
    ports = re.findall(r"^  wire .*(?:input|output) \d+ +\\(\S+)$", text, re.MULTILINE)
    assert {"count", "step", "clk", "rst"} <= set(ports)
    assert not {"total", "unread"} & set(ports)


@pytest.mark.parametrize("peek", ["all", "last"])
def test_a_signal_inside_is_no_port(peek):
    with pytest.raises(ValueError, match=r"hidden of .*counter_0 is used in top, but is no port"):
        rtlil.convert(Row((1, 1), peek=peek))


def test_one_component_may_be_looked_into():
    assert "hidden" in rtlil.convert(Row((1, 2), peek="all"))


class Clocked(wiring.Component):
    clk: In(1)
    o: Out(1)

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.o.eq(self.clk)
        return m


class Clocks(wiring.Component):
    o: Out(2)

    def elaborate(self, platform):
        m = Module()
        m.submodules.a, m.submodules.b = a, b = Clocked(), Clocked()
        m.d.comb += [self.o.eq(Cat(a.o, b.o)), a.clk.eq(1), b.clk.eq(0)]
        return m


def test_a_port_with_a_name_of_the_domain():
    with pytest.raises(ValueError, match=r"the port clk of .*a has the name"):
        rtlil.convert(Clocks())


def test_a_component_with_a_name_for_its_module_is_one_wherever_it_stands():
    class Once(Elaboratable):
        def elaborate(self, platform):
            m = Module()
            m.submodules.block = ram = Ram(width=4, depth=8)
            m.d.comb += ram.read_address.eq(self.address)
            return m

    once = Once()
    once.address = Signal(3)
    modules = share(once, "top", {"address": (once.address, None)})
    assert [module.name for module in modules] == ["top", "dna_ram_1r1w_4x8"]


def test_arguments_said_in_another_way_make_the_same_module():
    """Two modules of one name are what Yosys refuses."""

    class Twice(Elaboratable):
        def elaborate(self, platform):
            m = Module()
            rams = [Ram(width=4, depth=8), Ram(depth=8, width=4, parts=1)]
            for number, ram in enumerate(rams):
                m.submodules[f"ram_{number}"] = ram
                m.d.comb += ram.read_address.eq(self.address)
            return m

    twice = Twice()
    twice.address = Signal(3)
    names = [module.name for module in share(twice, "top", {"address": (twice.address, None)})]
    assert names == ["top", "dna_ram_1r1w_4x8"]
