"""Levels of machines whose paths are known; Yosys takes some seconds for each."""

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, connect, flipped

from harness.hardware.timing.luts import levels as counting
from harness.hardware.timing.luts.levels import Levels
from harness.hardware.timing.netlist.borders import Borders
from sw.errors import DnaError
from tests.support.timing_designs import Array, Arrays, Chain, Pair, Queues, design

CHAINS = {
    "six": ("xor", 6, 1.0),
    "seven": ("xor", 7, 2.0),
    # A LUT, and 9 CARRY4 for 33 bits.
    "sum": ("sum", 64, 2.125),
    "memory": ("memory", 10, 3.0),
}


class Chains(wiring.Component):
    """All of them side by side."""

    def __init__(self):
        super().__init__(
            {name: In(Chain(*what[:2]).signature.flip()) for name, what in CHAINS.items()}
        )

    def elaborate(self, platform):
        m = Module()
        for name, (kind, width, _) in CHAINS.items():
            m.submodules[name] = chain = Chain(kind, width)
            connect(m, flipped(getattr(self, name)), chain)
        return m


def test_known_paths():
    judged = Levels(design(Chains()), lambda text: None).block("machine")
    worst = {}
    for path in judged.paths:
        if not path.open:
            # A register that is a port of the machine has the port's name.
            name = path.end.replace("__", ".").split(".")[0]
            worst[name] = max(worst.get(name, 0.0), path.levels)
            assert path.start.startswith(f"{name}.")
    assert worst == {name: levels for name, (_, _, levels) in CHAINS.items()}
    assert judged.block.levels == 3.0
    assert judged.block.over == 0


def test_a_border_counts_as_a_register_only_if_one_is_there():
    machine = design(Pair())
    borders = Borders.of(machine, lambda text: None)
    module = {name: machine.module_of(name) for name in ("source", "sink")}
    assert borders.driven_by_register(module["sink"], "plain", 3)
    assert not borders.driven_by_register(module["sink"], "mixed", 3)
    assert borders.taken_by_register(module["source"], "kept", 0)
    assert not borders.taken_by_register(module["source"], "mixed", 0)
    assert not borders.driven_by_register(module["source"], "i", 0)  # the machine's own port

    judged = Levels(machine, lambda text: None).block("sink")
    open_paths = {(path.start.partition("[")[0], path.open) for path in judged.paths}
    assert open_paths == {("sink.kept", False), ("sink.mixed", True)}
    assert judged.block.levels == judged.block.open_levels == 1.25  # a sum of 8 bits
    assert {path.block for path in judged.paths} == {"sink"}


def test_what_is_there_often_is_judged_once(monkeypatch):
    """Gates that are shared across its border make a level of difference at most."""
    machine = design(Array(through=True))
    found = {}
    for often in (5, 4):
        monkeypatch.setattr(counting, "OFTEN", often)
        assert bool(machine.arrays(often)) == (often == 4)
        found[often] = Levels(machine, lambda text: None).block("machine")
    whole, stubbed = found[5].block, found[4].block
    assert whole.levels > 2 and abs(whole.levels - stubbed.levels) < 1
    assert abs(whole.open_levels - stubbed.open_levels) <= 1
    # Paths through the box are told by its instances, and so are those inside of it.
    ways = {(path.start.split(".")[0], path.end[:2]) for path in found[4].paths if not path.open}
    assert ("element_0", "o[") in ways


def test_arrays_of_what_is_there_often_are_judged_once(monkeypatch):
    machine = design(Arrays(count=2, elements=4))
    boxes = {5: {"dna.array_0.element_0"}, 4: {"dna.array_0.element_0", "dna.array_0"}}
    found = {}
    for often, expected in boxes.items():
        monkeypatch.setattr(counting, "OFTEN", often)
        assert machine.arrays(often) == expected
        found[often] = Levels(machine, lambda text: None).block("machine").block
    assert found[4].levels == found[5].levels > 1
    assert design(Arrays(count=1, elements=4)).arrays(4) == {"dna.array_0.element_0"}


@pytest.mark.parametrize(("bits", "boxed"), [(255, False), (256, True)])
def test_large_queues_of_which_there_are_several_are_judged_once(bits, boxed):
    machine = design(Queues(count=2, bits=bits))
    assert machine.arrays(99) == ({"dna.queue_0"} if boxed else set())
    assert not design(Queues(count=1, bits=bits)).arrays(99)


def test_what_is_kept_is_not_judged_again(monkeypatch):
    machine = design(Chain("xor", 7))
    told = []
    first = Levels(machine, told.append).block("machine")
    assert told
    monkeypatch.setattr(counting.yosys, "run", None)
    again = Levels(design(Chain("xor", 7)), pytest.fail)
    assert again.block("machine") == first
    assert again.key("machine") != Levels(design(Chain("xor", 8)), pytest.fail).key("machine")


def test_a_block_that_is_not_there():
    machine = design(Pair())
    with pytest.raises(DnaError, match="there is no block 'sonk': in the machine are sink, source"):
        Levels(machine, lambda text: None).block("sonk")
    with pytest.raises(DnaError, match=r"'sink\.x': in sink are no blocks"):
        machine.module_of("sink.x")
    assert machine.module_of("dna.sink") == machine.module_of("sink")
