import pytest
from amaranth.hdl import Module, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw import rtlil
from tests.support.processes import printed_in_every_process


class Table(wiring.Component):
    address: In(4)
    word: Out(8)

    def __init__(self, init):
        super().__init__()
        self.init = init

    def elaborate(self, platform):
        memory = Memory(shape=unsigned(8), depth=16, init=self.init)
        port = memory.read_port()
        m = Module()
        m.submodules.memory = memory
        m.d.comb += [port.addr.eq(self.address), self.word.eq(port.data)]
        return m


@pytest.mark.parametrize(("init", "spelt_out"), [([], False), ([0, 0], False), ([0, 3], True)])
def test_only_content_that_is_not_zero_is_spelt_out(init, spelt_out):
    text = rtlil.convert(Table(init))
    assert ("$meminit" in text) == spelt_out
    assert "size 16" in text and "module \\top" in text


def test_the_text_is_the_same_in_every_process():
    """What was found of a design is kept by a hash of its text; sets have any order."""
    program = (
        "import hashlib; from hw import rtlil; from hw.config import PRESETS\n"
        "from hw.control.sequencer import Sequencer\n"
        "text = rtlil.convert(Sequencer(PRESETS['nano']))\n"
        "print(hashlib.sha256(text.encode()).hexdigest())"
    )
    assert len(printed_in_every_process(program)) == 1
