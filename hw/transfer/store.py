"""The STORE engine: feature memory to DRAM."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.arithmetic.integers import thermometer
from hw.config import DnaConfig
from hw.control.engine import EngineControl, field_registers
from hw.interfaces import DramWriteSignature, EngineSignature, FeatureReadSignature, word_layout
from hw.isa import Opcode, field_widths
from hw.memory.row_address import RowAddress
from hw.status import Activity, Fault

ROW_WORDS_BITS = field_widths(Opcode.STORE)["row_words"]


class RowPacker(wiring.Component):
    """Packs rows of feature words into DRAM words; zeros fill up the last one of a row.

    Rate: ``post_words`` feature words or one DRAM word per cycle, whichever is less. Latency: a
    DRAM word is there in the cycle after the last of its feature words was taken.

    Stall: ``words`` waits while a finished DRAM word does.

    Args:
        config: uses ``rows``, ``lanes`` and ``dram_bytes_per_cycle``.

    Ports:
        start: in, one cycle high before the first word of the first row.
        row_words: in, unsigned(20), feature words of a row, constant from ``start`` on.
        words: in, stream of feature word [``post_words``], as many as are left of the row.
        ends_row: out, high in the cycle in which the last word of a row is taken.
        dram_words: out, stream of unsigned(8 x dram_bytes_per_cycle).
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        words = data.ArrayLayout(word_layout(config), config.post_words)
        super().__init__(
            {
                "start": In(1),
                "row_words": In(unsigned(ROW_WORDS_BITS)),
                "words": In(stream.Signature(words)),
                "ends_row": Out(1),
                "dram_words": Out(stream.Signature(unsigned(8 * config.dram_bytes_per_cycle))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Count the words of a row and blank those past its end."""
        m = Module()
        config = self._config
        left = Signal.like(self.row_words)
        last = Signal()
        taken = Signal()
        words = Signal.like(self.words.payload)
        there = thermometer(left, config.post_words)
        m.d.comb += [
            last.eq(left <= config.post_words),
            self.ends_row.eq(taken & last),
            taken.eq(self.words.valid & self.words.ready),
        ]
        m.d.comb += [
            words[index].eq(Mux(there[index], self.words.payload[index], 0))
            for index in range(config.post_words)
        ]
        with m.If(self.start):
            m.d.sync += left.eq(self.row_words)
        with m.If(taken):
            m.d.sync += left.eq(Mux(last, self.row_words, left - config.post_words))

        if config.dram_bytes_per_cycle >= config.lanes:
            self._gather(m, words.as_value(), taken, last)
        else:
            self._split(m, words.as_value(), taken, there)
        return m

    def _gather(self, m: Module, words: Value, taken: Value, last: Value) -> None:
        """Fill a DRAM word part by part; the first clears the others."""
        parts = self._config.dram_bytes_per_cycle // self._config.lanes
        part = Signal(range(parts))
        complete = last | (part == parts - 1)
        m.d.comb += self.words.ready.eq(~self.dram_words.valid | self.dram_words.ready)
        with m.If(self.words.ready):
            m.d.sync += self.dram_words.valid.eq(taken & complete)
        with m.If(taken):
            m.d.sync += part.eq(Mux(complete, 0, part + 1))
            with m.Switch(part):
                for index in range(parts):
                    with m.Case(index):
                        register = self.dram_words.payload[len(words) * index :]
                        m.d.sync += register.eq(words)

    def _split(self, m: Module, words: Value, taken: Value, there: Value) -> None:
        """Give the words of a cycle as several DRAM words, as many as hold some of them."""
        config = self._config
        register = Signal.like(words)
        parts = config.lanes // config.dram_bytes_per_cycle
        held = Signal(parts)  # from bit 0 on, one for each DRAM word in the register
        given = self.dram_words.valid & self.dram_words.ready
        words_per_part = max(1, config.dram_bytes_per_cycle // config.rows)
        parts_per_word = parts * words_per_part // config.post_words
        m.d.comb += [
            self.dram_words.valid.eq(held[0]),
            self.dram_words.payload.eq(register),
            self.words.ready.eq(~held[0] | (given & ~Cat(held, 0)[1])),
        ]
        with m.If(taken):
            m.d.sync += [
                register.eq(words),
                held.eq(Cat(bit.replicate(parts_per_word) for bit in there[::words_per_part])),
            ]
        with m.Elif(given):
            m.d.sync += [
                register.eq(register >> len(self.dram_words.payload)),
                held.eq(held >> 1),
            ]


class StoreEngine(wiring.Component):
    """Executes STORE: rows of feature words to rows of DRAM words.

    A row of DRAM takes whole DRAM words: what is behind the last feature word of a row, up to the
    end of its DRAM word, is overwritten with zeros. The requests of all rows are made ahead.

    Rate: that of :class:`RowPacker`, rows without a gap. Latency: that of a read and of the packer.

    Stall: feature words wait for the packer, DRAM words for the memory.

    Faults: ``BAD_FIELD`` for counts of 0, a base outside the feature memory, or an offset or pitch
    that is not aligned to a DRAM word.

    Args:
        config: uses ``rows``, ``lanes``, ``feature_words`` and ``dram_bytes_per_cycle``.

    Ports:
        engine: out, :class:`EngineSignature`; done when the memory has acknowledged every row.
            ``WAIT_DRAM``: it does not take words, or has not acknowledged the last ones;
            ``WAIT_FEATURE``: no words come.
        features: out, :class:`FeatureReadSignature`.
        memory: out, :class:`DramWriteSignature`.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        super().__init__(
            {
                "engine": Out(EngineSignature()),
                "features": Out(FeatureReadSignature(config)),
                "memory": Out(DramWriteSignature(config)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the two walks over the rows, the packer, and the count of acknowledgements."""
        m = Module()
        config = self._config
        m.submodules.control = control = EngineControl()
        store = field_registers(m, control, Opcode.STORE)
        m.submodules.packer = packer = RowPacker(config)
        wiring.connect(m, wiring.flipped(self.engine), control.engine)

        bad_fields = [
            store.rows == 0,
            store.row_words == 0,
            store.in_base >= config.feature_words,
            (store.dram | store.dram_pitch) % config.dram_bytes_per_cycle != 0,
        ]
        m.d.comb += control.refuse.eq(Mux(Cat(bad_fields).any(), Fault.BAD_FIELD, Fault.NONE))

        # A request per row of DRAM.
        request = self.memory.requests
        rows_to_request = Signal.like(store.rows)
        word_bits = ceil_log2(config.dram_bytes_per_cycle)
        row_bytes = store.row_words << ceil_log2(config.rows)
        m.d.comb += [
            request.valid.eq(rows_to_request != 0),
            request.payload.length.eq((row_bytes + (config.dram_bytes_per_cycle - 1)) >> word_bits),
        ]
        with m.If(request.valid & request.ready):
            m.d.sync += [
                rows_to_request.eq(rows_to_request - 1),
                request.payload.offset.eq(request.payload.offset + store.dram_pitch),
            ]

        # The feature words, as many as a cycle gives.
        read = self.features.requests
        rows_to_read = Signal.like(store.rows)
        left = Signal.like(store.row_words)
        address = RowAddress(
            m,
            read.payload.address.shape(),
            pitch=store.in_pitch,
            name="address",
            here=read.payload.address,
        )
        m.d.comb += [
            read.valid.eq(rows_to_read != 0),
            read.payload.enable.eq(thermometer(left, config.post_words)),
        ]
        with m.If(read.valid & read.ready):
            m.d.sync += [
                left.eq(left - config.post_words),
                *address.advance(config.post_words),
            ]
            with m.If(left <= config.post_words):
                m.d.sync += [
                    left.eq(store.row_words),
                    rows_to_read.eq(rows_to_read - 1),
                    *address.advance_row(),
                ]

        # Both through the packer into the memory, which says when a row is there.
        rows_to_finish = Signal.like(store.rows)
        m.d.comb += [
            packer.start.eq(control.start),
            packer.row_words.eq(store.row_words),
            control.finish.eq(self.memory.done & (rows_to_finish == 1)),
        ]
        wiring.connect(m, packer.words, wiring.flipped(self.features.responses))
        wiring.connect(m, packer.dram_words, wiring.flipped(self.memory.words))
        with m.If(self.memory.done):
            m.d.sync += rows_to_finish.eq(rows_to_finish - 1)

        with m.If(control.start):
            m.d.sync += [
                rows_to_request.eq(store.rows),
                rows_to_read.eq(store.rows),
                rows_to_finish.eq(store.rows),
                request.payload.offset.eq(store.dram),
                *address.begin(store.in_base),
                left.eq(store.row_words),
            ]

        rows_to_pack = Signal.like(store.rows)
        with m.If(control.start):
            m.d.sync += rows_to_pack.eq(store.rows)
        with m.Elif(packer.ends_row):
            m.d.sync += rows_to_pack.eq(rows_to_pack - 1)
        came = packer.words.valid & packer.words.ready
        went = packer.dram_words.valid & packer.dram_words.ready
        with m.If(came | went):
            m.d.comb += control.activity.eq(Activity.BUSY)
        with m.Elif(packer.dram_words.valid | (rows_to_pack == 0)):
            m.d.comb += control.activity.eq(Activity.WAIT_DRAM)
        with m.Else():
            m.d.comb += control.activity.eq(Activity.WAIT_FEATURE)
        return m
