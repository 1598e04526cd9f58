from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from harness.hardware import verilog
from hw import rtlil

STEPS = {1: 101, 2: 102, 3: 103}
"""Constants that nothing else in the design looks like."""


class Step(wiring.Component):
    def __init__(self, amount):
        self.amount = amount
        super().__init__({"value": In(8), "result": Out(8)})

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.result.eq(self.value + STEPS[self.amount])
        return m


class Pair(wiring.Component):
    def __init__(self, amounts):
        self.amounts = amounts
        super().__init__({"value": In(8), "result": Out(8)})

    def elaborate(self, platform):
        m = Module()
        value = self.value
        for number, amount in enumerate(self.amounts):
            m.submodules[f"step_{number}"] = step = Step(amount)
            m.d.comb += step.value.eq(value)
            value = step.result
        m.d.comb += self.result.eq(value)
        return m


class Pairs(wiring.Component):
    def __init__(self, *pairs):
        self.pairs = pairs
        super().__init__({"value": In(8), "result": Out(8)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=unsigned(3), depth=17, init=[])
        read = memory.read_port()
        last = Signal(8)
        m.d.comb += [read.addr.eq(self.value), last.eq(read.data)]
        for number, amounts in enumerate(self.pairs):
            m.submodules[f"pair_{number}"] = pair = Pair(amounts)
            m.d.comb += pair.value.eq(self.value)
            last = last ^ pair.result
        m.d.comb += self.result.eq(last)
        return m


def design(*pairs):
    return verilog.read_design(rtlil.convert(Pairs(*pairs), name="dna"))


def behaviour(modules, name="dna"):
    """The steps below a module, in order of their names, whatever modules are called."""
    module = modules[name]
    if not module.instances:
        return next(amount for amount in STEPS if f"7'{STEPS[amount]:b}" in module.rtlil)
    return [behaviour(modules, below) for _, below in sorted(module.instances.items())]


def test_equal_blocks_become_one_module_at_every_level():
    modules = design((1, 2), (1, 2))
    assert list(modules) == ["dna", "dna.pair_0", "dna.pair_0.step_0", "dna.pair_0.step_1"]
    assert modules["dna"].instances == {"pair_0": "dna.pair_0", "pair_1": "dna.pair_0"}


def test_different_blocks_stay_different():
    for pairs in ([(1, 2), (2, 1), (1, 2)], [(1, 1), (1, 2)], [(3, 3), (3, 3), (2, 1), (3, 2)]):
        modules = design(*pairs)
        assert behaviour(modules) == [list(pair) for pair in pairs]


def test_parents_come_first_and_every_module_is_used():
    modules = design((3, 3), (2, 1), (3, 3), (1, 2))
    seen = {"dna"}
    for name, module in modules.items():
        assert name in seen
        seen |= set(module.instances.values())
    assert seen == set(modules)


def test_memories_are_found():
    assert design((1, 1))["dna"].memories == (verilog.Memory("memory", 17, 3),)


def test_sources_have_no_folders_of_this_computer():
    text = verilog.relative_sources(rtlil.convert(Pairs((1, 2)), name="dna"))
    assert '"amaranth/hdl/' in text
    assert text.count('src "/') == text.count(f'src "{__file__}')
