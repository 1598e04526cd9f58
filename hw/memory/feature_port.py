"""The requests of one client of the feature memory, in front of the banks that clients share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.config import DnaConfig
from hw.interfaces import FeatureReadSignature, FeatureWriteSignature


def rotate(m: Module, lanes: Sequence[Value], amount: Value, *, count: int) -> list[Value]:
    """``lanes[amount]`` and the ``count - 1`` lanes after it, modulo their (power of two) number.

    A barrel shifter, highest bit of ``amount`` first; what no later stage reaches is left out.
    """
    width = len(lanes[0])
    for bit in reversed(range(len(amount))):
        step = 1 << bit
        reach = min(len(lanes), count + step - 1)
        stage = Signal(width * reach, name=f"rotated_{step}")
        moved = Cat(lanes[(lane + step) % len(lanes)] for lane in range(reach))
        m.d.comb += stage.eq(Mux(amount[bit], moved, Cat(lanes[:reach])))
        lanes = [stage[lane * width : (lane + 1) * width] for lane in range(reach)]
    return list(lanes[:count])


def negative(m: Module, amount: Value) -> Value:
    """The amount that rotates back: lane i then goes to place ``amount`` + i."""
    back = Signal.like(amount, name="back")
    m.d.comb += back.eq(-amount)
    return back


class FeaturePort(wiring.Component):
    """Keeps requests of a client until they had their banks, and turns them into those of banks.

    A request gets each of its banks when that is free, one sooner than another. Two places: a
    client may go on while a request waits, and ``ready`` is a register.

    Rate: a request per cycle. Latency: a request asks for its banks in the cycle after it was
    taken; what the banks get is there in the cycle after they were free.

    Stall: ``requests`` waits while one request waits behind another.

    Args:
        config: uses ``modules``, ``rows``, ``lanes`` and ``feature_words``.
        writes: whether requests bring words.

    Ports:
        requests: in, stream of those of :class:`hw.interfaces.FeatureWriteSignature` or
            :class:`hw.interfaces.FeatureReadSignature`.
        valid: out, a request asks for banks; needs: out, unsigned(modules), for which it has not
            had yet, 0 without a request.
        free: in, unsigned(modules), those that nobody before it asks for: it gets them.
        granted: out, with these it has had all.
        pending: out, something that was taken is not at the banks yet, or is there in this cycle.
        here, wrapped: out, unsigned(modules), the banks that are accessed in this cycle at ``row``
            and at ``next_row``, which are out, unsigned.
        first: out, unsigned, the bank of the first word.
        words: out if ``writes``, unsigned(8 x rows) [``post_words``]: bank b takes word b modulo
            ``post_words``.
    """

    def __init__(self, config: DnaConfig, *, writes: bool) -> None:
        self._config, self._writes = config, writes
        signature = (FeatureWriteSignature if writes else FeatureReadSignature)(config)
        self._payload = signature.members["requests"].signature.members["payload"].shape
        bank_bits = exact_log2(config.modules)
        row = unsigned(config.feature_address_bits - bank_bits)
        word = Out(unsigned(8 * config.rows)).array(config.post_words)
        super().__init__(
            {
                "requests": In(stream.Signature(self._payload)),
                "valid": Out(1),
                "needs": Out(config.modules),
                "free": In(config.modules),
                "granted": Out(1),
                "pending": Out(1),
                "here": Out(config.modules),
                "wrapped": Out(config.modules),
                "row": Out(row),
                "next_row": Out(row),
                "first": Out(unsigned(bank_bits)),
                **({"words": word} if writes else {}),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the two places, and the register behind the grant."""
        m = Module()
        config, requests = self._config, self.requests
        lanes, count = config.modules, config.post_words
        bank_bits = exact_log2(lanes)

        behind = Signal()
        waiting = Signal(self._payload, reset_less=True)
        chosen = Signal(self._payload)
        held = Signal(self._payload, reset_less=True)
        comes = Signal()
        moves = Signal()
        needs, missing = Signal(lanes), Signal(lanes)
        back = negative(m, chosen.address[:bank_bits])
        enable = [*chosen.enable, *[Const(0, 1)] * (lanes - count)]
        m.d.comb += [
            requests.ready.eq(~behind),
            comes.eq(requests.valid & ~behind),
            missing.eq(self.needs & ~self.free),
            self.granted.eq(self.valid & ~missing.any()),
            moves.eq(~self.valid | self.granted),
            chosen.eq(Mux(behind, waiting.as_value(), requests.payload.as_value())),
            needs.eq(Cat(rotate(m, enable, back, count=lanes))),
        ]
        with m.If(~behind):
            m.d.sync += waiting.eq(requests.payload)
        with m.If(moves):
            m.d.sync += [
                behind.eq(0),
                self.valid.eq(behind | requests.valid),
                self.needs.eq(Mux(behind | requests.valid, needs, 0)),
                held.eq(chosen),
            ]
        with m.Else():
            m.d.sync += self.needs.eq(missing)
            with m.If(comes):
                m.d.sync += behind.eq(1)

        first, row = held.address[:bank_bits], held.address[bank_bits:]
        # Words beyond the last bank are in the next row. One word alone never is.
        beyond = Cat(first > number for number in range(lanes)) if count > 1 else Const(0, lanes)
        gets = self.needs & self.free
        m.d.sync += [
            self.here.eq(gets & ~beyond),
            self.wrapped.eq(gets & beyond),
            self.row.eq(row),
            self.next_row.eq(row + 1),
            self.first.eq(first),
        ]
        m.d.comb += self.pending.eq(self.valid | self.here.any() | self.wrapped.any())
        if self._writes:
            # Bank b takes word b - first; banks of the same remainder see the same word.
            words = rotate(
                m,
                [word.as_value() for word in held.words],
                negative(m, first)[: exact_log2(count)],
                count=count,
            )
            m.d.sync += [port.eq(word) for port, word in zip(self.words, words, strict=True)]
        return m
