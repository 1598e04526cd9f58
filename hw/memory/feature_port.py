"""The requests of one client of the feature memory, in front of the banks that clients share."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import reduce
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
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
        scattered: whether ``offsets`` says where words are; else they follow each other.

    Ports:
        requests: in, stream of those of :class:`hw.interfaces.FeatureWriteSignature` or
            :class:`hw.interfaces.FeatureReadSignature`.
        valid: out, a request asks for banks; needs: out, unsigned(modules), for which it has not
            had yet, 0 without a request.
        free: in, unsigned(modules), those that nobody before it asks for: it gets them.
        granted: out, with these it has had all.
        pending: out, something that was taken is not at the banks yet, or is there in this cycle.
        offsets: in if ``scattered``, unsigned [``post_words``].
        accessed: out, unsigned(modules), the banks that are accessed in this cycle.
        rows: out, unsigned [modules], where.
        first: out, unsigned, the bank of the first word.
        words: out if ``writes``, unsigned(8 x rows) [modules]: what each bank takes.
    """

    def __init__(self, config: DnaConfig, *, writes: bool, scattered: bool = False) -> None:
        self._config, self._writes, self._scattered = config, writes, scattered
        signature = (FeatureWriteSignature if writes else FeatureReadSignature)(config)
        self._payload = signature.members["requests"].signature.members["payload"].shape
        bank_bits = exact_log2(config.modules)
        row = unsigned(config.feature_address_bits - bank_bits)
        word = Out(unsigned(8 * config.rows)).array(config.modules)
        address = unsigned(config.feature_address_bits)
        offsets = In(data.ArrayLayout(address, config.post_words))
        super().__init__(
            {
                "requests": In(stream.Signature(self._payload)),
                "valid": Out(1),
                "needs": Out(config.modules),
                "free": In(config.modules),
                "granted": Out(1),
                "pending": Out(1),
                "accessed": Out(config.modules),
                "rows": Out(row).array(config.modules),
                "first": Out(unsigned(bank_bits)),
                **({"words": word} if writes else {}),
                **({"offsets": offsets} if scattered else {}),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the two places, and the register behind the grant."""
        m = Module()
        config, requests = self._config, self.requests
        bank_bits = exact_log2(config.modules)

        behind = Signal()
        waiting = Signal(self._payload, reset_less=True)
        chosen = Signal(self._payload)
        held = Signal(self._payload, reset_less=True)
        comes = Signal()
        moves = Signal()
        needs, missing = Signal(config.modules), Signal(config.modules)
        m.d.comb += [
            requests.ready.eq(~behind),
            comes.eq(requests.valid & ~behind),
            missing.eq(self.needs & ~self.free),
            self.granted.eq(self.valid & ~missing.any()),
            moves.eq(~self.valid | self.granted),
            chosen.eq(Mux(behind, waiting.as_value(), requests.payload.as_value())),
            needs.eq(self._needs(m, chosen)),
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

        m.d.sync += [
            self.accessed.eq(self.needs & self.free),
            self.first.eq(held.address[:bank_bits]),
        ]
        m.d.comb += self.pending.eq(self.valid | self.accessed.any())
        if self._scattered:
            self._scatter(m, held)
        else:
            self._follow(m, held)
        return m

    def _places(self, address: Value) -> list[Value]:
        """The addresses of scattered words."""
        bits = self._config.feature_address_bits
        return [(address + offset)[:bits] for offset in self.offsets]

    def _leads(self, address: Value, offset: Value, bank: int) -> Value:
        """Whether the word at ``offset`` from ``address`` is in ``bank``.

        A bank that has to look at several words compares the address with what leads to it: that
        sum is of constants, and not behind the request (f200: 8 levels, more otherwise).
        """
        bank_bits = exact_log2(self._config.modules)
        if self._config.post_words > 1:
            return address[:bank_bits] == (bank - offset[:bank_bits])[:bank_bits]
        return (address + offset)[:bank_bits] == bank

    def _needs(self, m: Module, request: Any) -> Value:
        """The banks of a request."""
        lanes, count = self._config.modules, self._config.post_words
        bank_bits = exact_log2(lanes)
        if self._scattered:
            return Cat(
                Cat(
                    enable & self._leads(request.address, offset, bank)
                    for enable, offset in zip(request.enable, self.offsets, strict=True)
                ).any()
                for bank in range(lanes)
            )
        enable = [*request.enable, *[Const(0, 1)] * (lanes - count)]
        return Cat(rotate(m, enable, negative(m, request.address[:bank_bits]), count=lanes))

    def _follow(self, m: Module, held: Any) -> None:
        """Words that follow each other."""
        lanes, count = self._config.modules, self._config.post_words
        bank_bits = exact_log2(lanes)
        first, number = held.address[:bank_bits], held.address[bank_bits:]
        row, next_row = Signal.like(self.rows[0]), Signal.like(self.rows[0])
        wrapped = Signal(lanes)
        # Words beyond the last bank are in the next row. One word alone never is.
        beyond = Cat(first > bank for bank in range(lanes)) if count > 1 else Const(0, lanes)
        m.d.sync += [row.eq(number), next_row.eq(number + 1), wrapped.eq(beyond)]
        m.d.comb += [
            port.eq(Mux(past, next_row, row)) for port, past in zip(self.rows, wrapped, strict=True)
        ]
        if self._writes:
            # Bank b takes word b - first; banks of the same remainder see the same word.
            words = rotate(
                m,
                [word.as_value() for word in held.words],
                negative(m, first)[: exact_log2(count)],
                count=count,
            )
            taken = [Signal(len(word), name=f"word_{number}") for number, word in enumerate(words)]
            m.d.sync += [port.eq(word) for port, word in zip(taken, words, strict=True)]
            m.d.comb += [port.eq(taken[bank % count]) for bank, port in enumerate(self.words)]

    def _scatter(self, m: Module, held: Any) -> None:
        """Words at offsets, each in a bank of its own."""
        bank_bits = exact_log2(self._config.modules)
        places = self._places(held.address)
        for bank in range(self._config.modules):
            mine = [
                enable & (place[:bank_bits] == bank)
                for enable, place in zip(held.enable, places, strict=True)
            ]

            def of_mine(values: list[Value], mine: list[Value] = mine) -> Value:
                chosen = (Mux(my, value, 0) for my, value in zip(mine, values, strict=True))
                return reduce(operator.or_, chosen)

            m.d.sync += self.rows[bank].eq(of_mine([place[bank_bits:] for place in places]))
            if self._writes:
                words = [word.as_value() for word in held.words]
                m.d.sync += self.words[bank].eq(of_mine(words))
