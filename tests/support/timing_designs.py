"""Small machines with known paths, for the tests of the clock; their top has the real name."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from harness.hardware.timing.netlist.design import Design
from harness.hardware.verilog import TOP, read_design, relative_sources
from hw import rtlil


def design(component) -> Design:
    """The modules of ``component``."""
    return Design(read_design(relative_sources(rtlil.convert(component, name=TOP))))


class Chain(wiring.Component):
    """Registers, logic of a kind, registers.

    Args:
        kind: xor, sum, memory.
        width: bits that come in.
    """

    def __init__(self, kind, width):
        self._kind, self._width = kind, width
        super().__init__({"i": In(width), "o": Out(2 * width), "take": In(1)})

    def elaborate(self, platform):
        m = Module()
        before, after = Signal(self._width), Signal(2 * self._width)
        m.d.sync += before.eq(self.i)
        m.d.comb += self.o.eq(after)
        half = self._width // 2
        low, high = before[:half], before[half:]
        match self._kind:
            case "xor":
                m.d.sync += after[0].eq(before.xor())
            case "sum":
                m.d.sync += after.eq(low + high)
            case "memory":
                m.submodules.memory = memory = Memory(shape=self._width, depth=1024, init=[])
                read, write = memory.read_port(), memory.write_port()
                m.d.comb += [
                    read.addr.eq(before),
                    write.addr.eq(before),
                    write.data.eq(before),
                    write.en.eq(self.take),
                ]
                m.d.sync += after.eq(read.data ^ before)
        return m


class Queues(wiring.Component):
    """Queues of 32 words, one behind the other.

    Args:
        count: how many.
        bits: of a word.
    """

    def __init__(self, count, bits):
        self._count, self._bits = count, bits
        super().__init__({"i": In(bits), "o": Out(bits), "take": In(1)})

    def elaborate(self, platform):
        m = Module()
        value = self.i
        for number in range(self._count):
            m.submodules[f"queue_{number}"] = queue = SyncFIFO(width=self._bits, depth=32)
            m.d.comb += [queue.w_data.eq(value), queue.w_en.eq(self.take), queue.r_en.eq(self.take)]
            value = queue.r_data
        m.d.comb += self.o.eq(value)
        return m


class Source(wiring.Component):
    """One output from a register, one through logic; one input goes to the latter."""

    i: In(8)
    registered: Out(8)
    mixed: Out(8)

    def elaborate(self, platform):
        m = Module()
        kept = Signal(8)
        m.d.sync += kept.eq(self.i)
        m.d.comb += [self.registered.eq(kept), self.mixed.eq(kept + self.i)]
        return m


class Sink(wiring.Component):
    """Takes one input into a register, one into logic."""

    plain: In(8)
    mixed: In(8)
    o: Out(8)

    def elaborate(self, platform):
        m = Module()
        kept = Signal(8)
        m.d.sync += [kept.eq(self.plain), self.o.eq(kept + self.mixed)]
        return m


class Pair(wiring.Component):
    """A source and a sink: the first pair of ports is between registers, the second is not."""

    i: In(8)
    o: Out(8)

    def elaborate(self, platform):
        m = Module()
        m.submodules.source = source = Source()
        m.submodules.sink = sink = Sink()
        m.d.comb += [
            source.i.eq(self.i),
            sink.plain.eq(source.registered),
            sink.mixed.eq(source.mixed),
            self.o.eq(sink.o),
        ]
        return m


class Element(wiring.Component):
    """A multiplier with registers before and behind, as there are many of in an array."""

    def __init__(self, *, through):
        self._through = through
        super().__init__({"a": In(8), "b": In(8), "o": Out(16)})

    def elaborate(self, platform):
        m = Module()
        a, b = Signal(8), Signal(8)
        m.d.sync += [a.eq(self.a), b.eq(self.b ^ self.a[0].replicate(8))]
        product = Signal(16)
        m.d.sync += product.eq(a * b)
        m.d.comb += self.o.eq(product ^ self.a if self._through else product)
        return m


class Array(wiring.Component):
    """Some elements, and sums behind them."""

    def __init__(self, *, through, count=4):
        self._through, self._count = through, count
        super().__init__({"i": In(data.ArrayLayout(8, 2 * count)), "o": Out(18)})

    def elaborate(self, platform):
        m = Module()
        outs = []
        for number in range(self._count):
            element = Element(through=self._through)
            m.submodules[f"element_{number}"] = element
            m.d.comb += [
                element.a.eq(self.i[2 * number]),
                element.b.eq(Cat(*self.i)[8 * (2 * number + 1) :]),
            ]
            outs.append(element.o)
        m.d.sync += self.o.eq(sum(outs[1:], start=outs[0]))
        return m


class Arrays(wiring.Component):
    """Arrays that are all the same."""

    def __init__(self, *, count=2, elements=4):
        self._count, self._elements = count, elements
        super().__init__(
            {
                "i": In(data.ArrayLayout(8, 2 * elements)),
                "o": Out(data.ArrayLayout(18, count)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        for number in range(self._count):
            m.submodules[f"array_{number}"] = array = Array(through=False, count=self._elements)
            m.d.comb += [array.i.eq(self.i), self.o[number].eq(array.o)]
        return m
