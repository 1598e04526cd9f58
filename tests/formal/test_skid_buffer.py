import pytest
from amaranth.hdl import Signal

from hw.streams import skid_buffer
from tests.formal.prove import any_value, before, claim, prove, reach, refute, variant

WIDTH = 4


def bench(module=skid_buffer):
    """A memory answers in the cycle after it was asked, and is asked only while there is room."""

    def fill(m):
        m.submodules.dut = dut = module.SkidBuffer(WIDTH)
        ask = Signal()
        any_value(m, ask)
        any_value(m, dut.word)
        any_value(m, dut.output.ready)
        m.d.comb += dut.arrives.eq(before(m, ask & dut.room))

        output = dut.output
        waiting, waiting_word = Signal(), Signal(WIDTH)  # came, and nobody took it
        m.d.sync += waiting.eq((waiting | dut.arrives) & ~output.ready)
        with m.If(dut.arrives):
            m.d.sync += waiting_word.eq(dut.word)
        claim(m, "no_word_meets_another", ~(waiting & dut.arrives))
        claim(m, "valid_exactly_with_a_word", output.valid == (waiting | dut.arrives))
        with m.If(waiting):
            claim(m, "kept_word_stays", output.payload == waiting_word)
        with m.Elif(dut.arrives):
            claim(m, "new_word_passes", output.payload == dut.word)
        with m.If(~output.valid):
            claim(m, "room_when_empty", dut.room)
        reach(m, "word_waits_two_cycles", waiting & before(m, waiting))
        reach(m, "words_in_a_row", dut.arrives & before(m, dut.arrives))

    return fill


def test_no_word_is_lost_or_changed():
    prove(bench(), depth=5, induction=True)


@pytest.mark.parametrize(
    ("old", "new", "violated"),
    [
        ("~output.valid | output.ready)", "1)", "no_word_meets_another"),
        ("kept.eq(output.valid & ~", "kept.eq(self.arrives & ~", "valid_exactly_with_a_word"),
        ("with m.If(self.arrives):", "with m.If(~kept & 0):", "kept_word_stays"),
        ("Mux(kept, kept_word, self.word)", "kept_word", "new_word_passes"),
        ("~output.valid | output.ready)", "output.ready)", "room_when_empty"),
    ],
)
def test_a_broken_buffer_is_found(old, new, violated):
    refute(bench(variant(skid_buffer, (old, new))), violated, depth=8)
