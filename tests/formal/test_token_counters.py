import types

import pytest
from amaranth.hdl import Assume, Cat, Signal
from amaranth.lib import data, fifo

from hw import isa
from hw.config import PRESETS
from hw.control import sequencer, token_counters
from hw.control.token_counters import PRODUCERS, TokenCounters
from hw.isa import Engine
from tests.formal.prove import (
    any_constant,
    before,
    claim,
    free,
    prove,
    prove_always,
    reach,
    refute,
    variant,
)

PAIRS = [(producer, consumer) for producer in PRODUCERS for consumer in Engine]
# Full sooner.
SMALL = ("from hw.isa import TOKEN_LIMIT, Engine", "from hw.isa import Engine; TOKEN_LIMIT = 3")
NOT_READY = "(self.waits[consumer] & ~there) == 0"


def of_pair(values, pair):
    """The bits of ``values``, one value for each of ``PAIRS``, that belong to number ``pair``."""
    return Cat(*values).word_select(pair, len(values[0]))


def bench(module=token_counters):
    """Counters that are used as they ask for, up to the first overflow."""

    full = module.TOKEN_LIMIT

    def fill(m):
        m.submodules.dut = dut = module.TokenCounters()
        free(m, dut)
        m.d.comb += Assume((dut.take & ~dut.ready) == 0)
        pair = any_constant(m, range(len(PAIRS)), name="pair")
        m.d.comb += Assume(pair < len(PAIRS))
        up = of_pair([dut.give[PRODUCERS.index(p)][c] for p, c in PAIRS], pair)
        waits = of_pair([dut.waits[c][p] for p, c in PAIRS], pair)
        alone = of_pair([dut.waits[c] == 1 << p for p, c in PAIRS], pair)
        take = of_pair([dut.take[c] for _, c in PAIRS], pair)
        ready = of_pair([dut.ready[c] for _, c in PAIRS], pair)
        tokens = of_pair([dut.tokens[PRODUCERS.index(p)][c] for p, c in PAIRS], pair)
        missed = of_pair([dut.lost[PRODUCERS.index(p)][c] for p, c in PAIRS], pair)

        there = Signal(range(4 * full))  # wide enough to show a wrong count
        lost = Signal()
        m.d.sync += [there.eq(there + up - (take & waits)), lost.eq(lost | Cat(*dut.lost).any())]
        with m.If(~lost):
            claim(m, "counts_what_was_given", tokens == there)
            claim(m, "never_taken_from_nothing", ~(take & waits) | (there != 0))
            claim(m, "waits_while_there_is_none", ~(waits & (there == 0)) | ~ready)
            claim(m, "waits_for_nothing_else", ~alone | (ready == (there != 0)))
            with m.If(missed):
                claim(m, "fault_only_when_full", up & ~(take & waits) & (there == full))
            with m.If(up & ~(take & waits) & (there == full)):
                claim(m, "fault_when_full", missed)
        for consumer in Engine:
            never = dut.waits[consumer][Engine.CONTROL] & dut.ready[consumer]
            claim(m, f"control_gives_none_to_{consumer.name}", ~never)
        reach(m, "overflow", missed)
        reach(m, "given_and_taken_at_once", up & take & waits)

    return fill


def test_tokens_are_counted():
    prove_always(bench(), depth=2)


def test_tokens_are_counted_and_can_overflow():
    prove(bench(variant(token_counters, SMALL)), depth=7, induction=True)


@pytest.mark.parametrize(
    ("old", "new", "violated"),
    [
        ("(up & ~lost) - down", "(up & ~lost & ~down)", "counts_what_was_given"),
        ("(up & ~lost) - down", "(up & ~lost)", "counts_what_was_given"),
        ("lost.eq(up & ~down & (count", "lost.eq(0 & (count", "fault_when_full"),
        ("lost.eq(up & ~down &", "lost.eq(up &", "fault_only_when_full"),
        (NOT_READY, "1", "never_taken_from_nothing"),
        (NOT_READY, "1", "waits_while_there_is_none"),
        (NOT_READY, "self.waits[consumer] == 0", "waits_for_nothing_else"),
        ("else 0\n", "else 1\n", "control_gives_none_to_CONV"),
    ],
)
def test_a_broken_counter_is_found(old, new, violated):
    refute(bench(variant(token_counters, SMALL, (old, new))), violated, depth=7)


class CheckedFifo(fifo.SyncFIFO):
    """Claims what an induction must know of a FIFO."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        claim(m, "level_fits", self.level <= self.depth)
        return m


def sequencer_bench(*changes):
    """Of the whole sequencer: what an engine is offered, and what the counters are asked for."""

    def fill(m):
        module = variant(sequencer, *changes)
        counters = TokenCounters()
        module.TokenCounters = lambda: counters
        module.fifo = types.SimpleNamespace(SyncFIFO=CheckedFifo)
        m.submodules.dut = dut = module.Sequencer(PRESETS["nano"])
        free(m, dut)
        claim(m, "takes_only_what_is_there", (counters.take & ~counters.ready) == 0)
        for position, engine in enumerate(sequencer.WORKERS):
            port = dut.engines[position]
            offer = port.instructions
            fields = data.StructLayout({field.name: field.width for field in isa.COMMON})
            wait = data.View(fields, offer.payload[: fields.size]).wait
            there = Cat(
                (counters.tokens[PRODUCERS.index(producer)][engine] != 0)
                if producer in PRODUCERS
                else 0
                for producer in Engine
            )
            claim(m, f"{engine.name}_has_its_tokens", ~offer.valid | ((wait & ~there) == 0))
            refused = before(m, offer.valid & ~offer.ready & ~dut.halt)
            same = offer.payload == before(m, offer.payload)
            claim(m, f"{engine.name}_offer_stays", ~refused | (offer.valid & same))
            claim(m, f"{engine.name}_pays", counters.take[engine] == (offer.valid & offer.ready))

    return fill


@pytest.mark.parametrize("engine", [sequencer.WORKERS[0], sequencer.WORKERS[-1]])
def test_an_instruction_is_offered_only_with_its_tokens_and_then_stays(engine):
    name = engine.name
    claims = [f"{name}_has_its_tokens", f"{name}_pays", f"{name}_offer_stays", "level_fits"]
    prove_always(sequencer_bench(), *claims, depth=2)


def test_the_counters_are_asked_only_for_what_is_there():
    prove_always(sequencer_bench(), "takes_only_what_is_there", depth=2)


@pytest.mark.parametrize(
    ("old", "new", "violated"),
    [
        ("eq(full & ready & signals", "eq(full & signals", "CONV_has_its_tokens"),
        ("eq(full & ready & signals", "eq(full & signals", "takes_only_what_is_there"),
        ("destined[engine] & ~full", "destined[engine]", "CONV_offer_stays"),
        ("tokens.take[engine].eq(go)", "tokens.take[engine].eq(full)", "CONV_pays"),
    ],
)
def test_a_broken_sequencer_is_found(old, new, violated):
    # From any state: the first instruction comes too many cycles after reset.
    refute(sequencer_bench((old, new)), violated, depth=1, induction=True, lemmas=["level_fits"])
