"""The on-chip activations: banks of block RAM behind a window, writers and readers."""

from __future__ import annotations

import itertools
import operator
from functools import reduce
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.config import DnaConfig
from hw.interfaces import (
    FaultSignature,
    FeatureReadSignature,
    FeatureWriteSignature,
    WindowReadSignature,
)
from hw.memory.feature_port import FeaturePort, rotate
from hw.memory.ram import DualPortRam
from hw.microarchitecture import FEATURE_READS
from hw.status import Fault
from hw.streams.delay import delay


class FeatureMemory(wiring.Component):
    """``feature_words`` words of R bytes; word w is in bank w mod G at row w // G.

    Each bank is a block RAM with two ports. Port A serves the reader of windows, CONV. Port B
    serves everybody else: each writer and reader has a place for a request
    (:class:`hw.memory.feature_port.FeaturePort`), and in each cycle a request gets those of its
    banks that none before it in the order ``writers[0], writers[1], ..., readers[0], ...`` wants.
    In every other cycle of those with requests the order is the other way round: who wants the same
    banks as another all the time gets them in turn. What a reader's banks gave sooner is kept until
    the others have given theirs. There is room outside the banks for every answer that is on the
    way, so a reader that stands still blocks nobody.

    Rate: one window a cycle, and of the other requests as many as their banks allow.

    Latency: the answer to a request taken in one cycle is there ``FEATURE_READ_LATENCY`` cycles
    later at best, that to a window ``WINDOW_LATENCY`` cycles later. A word is in memory for
    windows, and for requests taken then, when its writer is not ``pending``; until then they may
    get the old one.

    Stall: none for windows. Any other client may send a request while not two wait, and a reader
    while not ``FEATURE_READS`` of its requests are without an answer that was taken.

    Args:
        config: uses ``modules`` G, ``rows`` R, ``lanes`` and ``feature_words``.
        writers, readers: how many of each.
        scattered: whether there is one more of each, whose words need not follow each other.

    Ports:
        window: in, :class:`WindowReadSignature`.
        writers: in, :class:`FeatureWriteSignature` [``writers``].
        readers: in, :class:`FeatureReadSignature` [``readers``].
        scattered_writer, scattered_reader: in, if ``scattered``, behind the other writers and the
            other readers in the order.
        fault: out, :class:`FaultSignature`. BANK_CONFLICT, with the address of module 0, once two
            modules of a window wanted different words of one bank; stands until reset. What that
            window returns is undefined.

    Raises:
        ValueError: there is not at least one of each.
    """

    def __init__(
        self,
        config: DnaConfig,
        *,
        writers: int = 3,
        readers: int = 3,
        scattered: bool = False,
    ) -> None:
        for name, value in (("writers", writers), ("readers", readers)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a positive integer, not {value!r}")
        self._config = config
        self._scattered = scattered
        self._bank_bits = exact_log2(config.modules)
        more = {
            "scattered_writer": In(FeatureWriteSignature(config, scattered=True)),
            "scattered_reader": In(FeatureReadSignature(config, scattered=True)),
        }
        super().__init__(
            {
                "window": In(WindowReadSignature(config)),
                "writers": In(FeatureWriteSignature(config)).array(writers),
                "readers": In(FeatureReadSignature(config)).array(readers),
                **(more if scattered else {}),
                "fault": Out(FaultSignature()),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the banks and what shares each of their two ports."""
        m = Module()
        config = self._config
        depth = config.feature_words // config.modules
        banks = [DualPortRam(width=8 * config.rows, depth=depth) for _ in range(config.modules)]
        for number, bank in enumerate(banks):
            m.submodules[f"bank_{number}"] = bank
        self._read_windows(m, banks)
        self._share_port_b(m, banks)
        return m

    def _read_windows(self, m: Module, banks: list[DualPortRam]) -> None:
        """Read a window at port A of the banks."""
        window = self.window.requests.payload
        taken = self.window.requests.valid
        sources = [address[: self._bank_bits] for address in window.addresses]
        rows = [address[self._bank_bits :] for address in window.addresses]

        conflicts = Cat(
            window.enable[one]
            & window.enable[other]
            & (sources[one] == sources[other])
            & (rows[one] != rows[other])
            for one, other in itertools.combinations(range(len(banks)), 2)
        )
        conflict = Signal()
        m.d.sync += conflict.eq(taken & conflicts.any())
        with m.If(~self.fault.valid & ~conflict):
            m.d.sync += self.fault.address.eq(window.addresses[0])
        with m.If(conflict):
            m.d.sync += [self.fault.valid.eq(1), self.fault.code.eq(Fault.BANK_CONFLICT)]

        for number, bank in enumerate(banks):
            asking = [
                enable & (source == number)
                for enable, source in zip(window.enable, sources, strict=True)
            ]
            m.d.comb += [
                # Whoever asks for this bank asks for one row of it.
                bank.read_address.eq(
                    _any([Mux(a, r, 0) for a, r in zip(asking, rows, strict=True)])
                ),
                bank.read.eq(taken & Cat(asking).any()),
            ]

        # Which bank each module gets its word from is worked out while the banks read, so that
        # behind them there is nothing but a register, the choice, and the register of the arrays.
        outputs = [Signal.like(bank.read_data, reset_less=True) for bank in banks]
        m.d.sync += [output.eq(bank.read_data) for output, bank in zip(outputs, banks, strict=True)]
        fill = delay(m, window.fill, 2, "fill").as_unsigned().replicate(self._config.rows)
        for module, word in enumerate(self.window.words):
            source = delay(m, sources[module], 2, f"source_{module}")
            enable = delay(m, window.enable[module], 2, f"enable_{module}")
            chosen = _choose(m, outputs, source, f"chosen_{module}")
            register = Signal.like(chosen, name=f"word_{module}", reset_less=True)
            m.d.sync += register.eq(Mux(enable, chosen, fill))
            m.d.comb += word.as_value().eq(register)

    def _share_port_b(self, m: Module, banks: list[DualPortRam]) -> None:
        """Give port B of each bank to the first in the order that needs it."""
        writers, readers = [*self.writers], [*self.readers]
        if self._scattered:
            writers.append(self.scattered_writer)
            readers.append(self.scattered_reader)
        clients = [*writers, *readers]
        ports = [
            FeaturePort(
                self._config,
                writes=index < len(writers),
                scattered=self._scattered and client in (writers[-1], readers[-1]),
            )
            for index, client in enumerate(clients)
        ]
        turn = Signal()  # the order is the other way round
        m.d.sync += turn.eq(~turn & Cat(port.valid for port in ports).any())
        for index, (client, port) in enumerate(zip(clients, ports, strict=True)):
            m.submodules[f"port_{index}"] = port
            before, after = (
                _any([other.needs for other in others]) if others else Const(0, len(banks))
                for others in (ports[:index], ports[index + 1 :])
            )
            m.d.comb += [
                port.requests.payload.eq(client.requests.payload),
                port.free.eq(~Mux(turn, after, before)),
            ]
            if self._scattered and client in (writers[-1], readers[-1]):
                m.d.comb += port.offsets.eq(client.offsets)
        for client, port in zip(writers, ports, strict=False):
            m.d.comb += [
                port.requests.valid.eq(client.requests.valid),
                client.requests.ready.eq(port.requests.ready),
                client.pending.eq(port.pending),
            ]

        writes, reads = ports[: len(writers)], ports[len(writers) :]
        outputs = []
        for number, bank in enumerate(banks):
            rows = [Mux(port.accessed[number], port.rows[number], 0) for port in ports]
            words = [Mux(port.accessed[number], port.words[number], 0) for port in writes]
            m.d.comb += [
                bank.shared_address.eq(_any(rows)),
                bank.write_data.eq(_any(words)),
                *(
                    enable.eq(_any([port.accessed[number] for port in some]))
                    for enable, some in ((bank.write, writes), (bank.shared_read, reads))
                ),
            ]
            output = Signal.like(bank.shared_data, name=f"output_{number}", reset_less=True)
            m.d.sync += output.eq(bank.shared_data)
            outputs.append(output)
        for index, (client, port) in enumerate(zip(readers, reads, strict=True)):
            self._answer(m, index, client, port, outputs)

    def _answer(
        self, m: Module, index: int, client: Any, port: FeaturePort, outputs: list[Signal]
    ) -> None:
        """Bring what the banks give to a reader, and let it ask only for what there is room for."""
        count = self._config.post_words
        queue = SyncFIFO(width=8 * self._config.lanes, depth=FEATURE_READS)
        m.submodules[f"answers_{index}"] = queue
        asked, answered = Signal(name=f"asked_{index}"), Signal(name=f"answered_{index}")
        under_way = Signal(range(FEATURE_READS + 1), name=f"under_way_{index}")
        m.d.comb += [
            port.requests.valid.eq(client.requests.valid & (under_way != FEATURE_READS)),
            client.requests.ready.eq(port.requests.ready & (under_way != FEATURE_READS)),
            asked.eq(client.requests.valid & client.requests.ready),
            client.responses.valid.eq(queue.r_rdy),
            client.responses.payload.eq(queue.r_data),
            queue.r_en.eq(client.responses.ready),
            answered.eq(client.responses.valid & client.responses.ready),
        ]
        m.d.sync += under_way.eq(under_way + asked - answered)
        granted = Signal(name=f"granted_{index}")
        m.d.sync += granted.eq(port.granted)
        gave = delay(m, port.accessed, 2, f"gave_{index}")
        answers = []
        for bank, output in enumerate(outputs):
            if count == 1:  # a request of one word has its bank at once
                answers.append(output)
                continue
            kept = Signal.like(output, name=f"kept_{index}_{bank}", reset_less=True)
            answer = Signal.like(output, name=f"answer_{index}_{bank}")
            m.d.comb += answer.eq(Mux(gave[bank], output, kept))
            m.d.sync += kept.eq(answer)
            answers.append(answer)
        if self._scattered and index == len(self.readers):
            first = delay(m, port.first, 1, f"first_{index}")
            words = [
                _choose(
                    m,
                    answers,
                    delay(m, (first + offset)[: self._bank_bits], 1, f"bank_{index}_{lane}"),
                    f"word_{index}_{lane}",
                )
                for lane, offset in enumerate(client.offsets)
            ]
        else:
            words = rotate(m, answers, delay(m, port.first, 2, f"first_{index}"), count=count)
        m.d.comb += [
            queue.w_en.eq(delay(m, granted, 2, f"read_{index}", reset_less=False)),
            queue.w_data.eq(Cat(words)),
        ]


def _choose(m: Module, words: list[Signal], number: Value, name: str) -> Signal:
    """``words[number]``."""
    chosen = Signal.like(words[0], name=name, reset_less=False)
    m.d.comb += chosen.eq(words[0])
    with m.Switch(number):
        for index, word in enumerate(words[1:], 1):
            with m.Case(index):
                m.d.comb += chosen.eq(word)
    return chosen


def _any(values: list[Value]) -> Value:
    """The bits that any of them has: of values that are 0 or one and the same, that one."""
    return reduce(operator.or_, values)
