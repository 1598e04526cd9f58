import pytest
from amaranth.hdl import Assume, Signal

from hw.streams import round_robin
from tests.formal.prove import any_constant, claim, free, prove, reach, refute, variant

COUNT = 3  # as the core has it; not a power of two


def bench(module=round_robin):
    def fill(m):
        m.submodules.dut = dut = module.RoundRobin(count=COUNT)
        free(m, dut)
        one = any_constant(m, range(COUNT), name="one")
        m.d.comb += Assume(one < COUNT)
        asks = dut.requests.bit_select(one, 1)
        others = Signal(range(2 * COUNT))  # served while ``one`` asks without a break
        with m.If(~asks | (dut.serve & (dut.grant == one))):
            m.d.sync += others.eq(0)
        with m.Elif(dut.serve):
            m.d.sync += others.eq(others + 1)

        distance = Signal(range(COUNT))  # of ``one`` behind the one served last
        with m.Switch(one):
            for index in range(COUNT):
                with m.Case(index), m.Switch(dut.last):
                    for last in range(COUNT):
                        with m.Case(last):
                            m.d.comb += distance.eq((index - last - 1) % COUNT)
        claim(m, "last_is_one_of_them", dut.last < COUNT)
        with m.If(dut.requests.any()):
            claim(m, "only_who_asks", dut.requests.bit_select(dut.grant, 1))
        claim(m, "at_most_all_others_first", others <= COUNT - 1)
        # This makes the bound inductive.
        claim(m, "the_wait_gets_shorter", others + distance <= COUNT - 1)
        reach(m, "all_others_first", others == COUNT - 1)

    return fill


def test_only_who_asks_and_nobody_for_long():
    prove(bench(), depth=6, induction=True)


@pytest.mark.parametrize(
    ("old", "new", "violated"),
    [
        ("with m.If(self.serve):", "with m.If(1):", "at_most_all_others_first"),
        ("with m.If(self.serve):", "with m.If(1):", "the_wait_gets_shorter"),
        ("self.last.eq(self.grant)", "self.last.eq(~self.grant)", "last_is_one_of_them"),
        ("self.last.eq(self.grant)", "self.last.eq(0)", "at_most_all_others_first"),
        ("with m.If(self.requests[index]):", "with m.If(1):", "only_who_asks"),
    ],
)
def test_a_broken_arbiter_is_found(old, new, violated):
    refute(bench(variant(round_robin, (old, new))), violated, depth=8)
