"""The LOAD engine: DRAM to feature memory, through a window packer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import Out
from amaranth.utils import ceil_log2

from hw.arithmetic.integers import clamp, thermometer
from hw.config import LOAD_CHUNKS, DnaConfig
from hw.control.engine import EngineControl, field_registers
from hw.interfaces import DramReadSignature, EngineSignature, FeatureWriteSignature
from hw.isa import Opcode
from hw.memory.row_address import RowAddress
from hw.status import Activity, Fault
from hw.transfer.row_ring import RowRing

OFFSET_BITS = 32
"""Of a byte's place in a row, signed; the last window ends below 2^14 x 2^16 + 2^12 x 2^7."""


class LoadEngine(wiring.Component):
    """Executes LOAD: rows of DRAM, cut into windows that may overlap, into feature words.

    Window i of a row is its bytes ``i * window_step - window_lead`` to ``window_bytes`` more; what
    is outside of the row, and the rest of ``window_words`` feature words, is ``fill``. The requests
    of all rows are made ahead; bytes of a row that no window wants are thrown away.

    Rate: up to ``post_words`` feature words of one window per cycle, but no more than DRAM gives
    bytes for; a few cycles between two rows. Latency: 4 cycles from a DRAM word to its first
    feature words.

    Stall: DRAM words wait while the ring is full of bytes that are still wanted.

    Faults: ``BAD_FIELD`` for counts of 0, a window that its feature words do not hold, windows that
    overlap by more than :attr:`~hw.config.DnaConfig.load_overlap_bytes`, a base outside the feature
    memory.

    Args:
        config: uses ``rows``, ``lanes``, ``feature_words`` and ``dram_bytes_per_cycle``.

    Ports:
        engine: out, :class:`EngineSignature`. ``WAIT_DRAM``: the bytes of the next feature words
            are not there; ``WAIT_FEATURE``: writes are not taken.
        memory: out, :class:`DramReadSignature`.
        results: out, :class:`FeatureWriteSignature`.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        super().__init__(
            {
                "engine": Out(EngineSignature()),
                "memory": Out(DramReadSignature(config)),
                "results": Out(FeatureWriteSignature(config)),
            }
        )

    def _refusal(self, load: SimpleNamespace) -> Value:
        config = self._config
        bad_fields = [
            load.row_bytes == 0,
            load.rows == 0,
            load.windows == 0,
            load.window_bytes == 0,
            load.window_step == 0,
            load.window_words * config.rows < load.window_bytes,
            load.window_bytes > load.window_step + config.load_overlap_bytes,
            load.out_base >= config.feature_words,
        ]
        return Mux(Cat(bad_fields).any(), Fault.BAD_FIELD, Fault.NONE)

    def elaborate(self, platform: Any) -> Module:
        """Build the requests, the walk over rows and windows, and the pipeline behind the ring."""
        m = Module()
        config = self._config
        m.submodules.control = control = EngineControl()
        load = field_registers(m, control, Opcode.LOAD)
        m.submodules.ring = ring = RowRing(config)
        wiring.connect(m, wiring.flipped(self.engine), control.engine)
        m.d.comb += control.refuse.eq(self._refusal(load))

        word_bytes, step_bytes = config.dram_bytes_per_cycle, config.lanes
        word_bits = ceil_log2(word_bytes)

        # A request per row of DRAM.
        request = self.memory.requests
        rows_to_request = Signal.like(load.rows)
        request_start = Signal(unsigned(32))
        reach = request_start[:word_bits] + load.row_bytes + (word_bytes - 1)
        m.d.comb += [
            request.valid.eq(rows_to_request != 0),
            request.payload.offset.eq(
                Cat(request_start[:word_bits] & 0, request_start[word_bits:])
            ),
            request.payload.length.eq(reach >> word_bits),
        ]
        with m.If(request.valid & request.ready):
            m.d.sync += [
                rows_to_request.eq(rows_to_request - 1),
                request_start.eq(request_start + load.dram_pitch),
            ]
        with m.If(control.start):
            m.d.sync += [rows_to_request.eq(load.rows), request_start.eq(load.dram)]

        # Positions count from the first byte of the row's first DRAM word: its first byte is at
        # ``begin``, its last before ``end``.
        begin = Signal(word_bits)
        next_begin = Signal(word_bits)
        end = Signal(signed(OFFSET_BITS))
        received = Signal(range((1 << len(load.row_bytes)) // word_bytes + 2))  # DRAM words
        position = Signal(signed(OFFSET_BITS))  # where the next feature words begin
        next_window = Signal(signed(OFFSET_BITS))
        bytes_left = Signal(signed(OFFSET_BITS))  # of the window from ``position`` on
        words_left = Signal.like(load.window_words)
        windows_left = Signal.like(load.windows)
        rows_left = Signal.like(load.rows)
        address = RowAddress(
            m,
            self.results.requests.payload.address.shape(),
            pitch=load.out_pitch,
            name="address",
        )

        row_finished = Signal()
        open_row = Signal()
        all_received = Signal()
        m.d.comb += [
            all_received.eq((received << word_bits) >= end),
            row_finished.eq((rows_left != 0) & (windows_left == 0) & all_received),
            open_row.eq(control.start | (row_finished & (rows_left != 1))),
            next_begin.eq(Mux(control.start, load.dram, begin + load.dram_pitch)),
        ]

        # Words into the ring, unless they would overwrite what is still wanted.
        keep = Signal(signed(OFFSET_BITS))
        received_chunk = received >> ceil_log2(config.load_chunk_bytes // word_bytes)
        kept_chunk = keep >> ceil_log2(config.load_chunk_bytes)
        m.d.comb += [
            keep.eq(Mux(position < next_window, position, next_window)),
            self.memory.words.ready.eq(
                (rows_left != 0)
                & ~all_received
                & ((windows_left == 0) | (received_chunk < kept_chunk + LOAD_CHUNKS))
            ),
            ring.write.eq(self.memory.words.valid & self.memory.words.ready),
            ring.word.eq(self.memory.words.payload),
            ring.slot.eq(received),
        ]
        with m.If(ring.write):
            m.d.sync += received.eq(received + 1)

        # Feature words out of it.
        write = self.results.requests
        there = Signal()
        free = Signal()
        issue = Signal()
        ends_window = Signal()
        # Of the bytes that are read, those from ``first`` on and before ``last`` are in the window
        # and in the row.
        until_row = Signal(signed(OFFSET_BITS))
        until_end = Signal(signed(OFFSET_BITS))
        in_row = Signal(signed(OFFSET_BITS))
        first = Signal(range(step_bytes + 1))
        last = Signal(range(step_bytes + 1))
        m.d.comb += [
            there.eq(
                all_received
                | (bytes_left <= 0)
                | (position + step_bytes <= (received << word_bits))
            ),
            until_row.eq(begin - position),
            in_row.eq(end - position),
            until_end.eq(Mux(in_row < bytes_left, in_row, bytes_left)),
            free.eq(~write.valid | write.ready),
            issue.eq((windows_left != 0) & there & free),
            ends_window.eq(words_left <= config.post_words),
            ring.position.eq(position),
            ring.read.eq(free),
        ]
        with m.If(issue):
            m.d.sync += [
                position.eq(position + step_bytes),
                bytes_left.eq(bytes_left - step_bytes),
                words_left.eq(words_left - config.post_words),
                *address.advance(Mux(ends_window, words_left, config.post_words)),
            ]
            with m.If(ends_window):
                m.d.sync += [
                    position.eq(next_window),
                    next_window.eq(next_window + load.window_step),
                    bytes_left.eq(load.window_bytes),
                    words_left.eq(load.window_words),
                    windows_left.eq(windows_left - 1),
                ]
        with m.If(row_finished):
            m.d.sync += rows_left.eq(rows_left - 1)
        with m.If(control.start):
            m.d.sync += rows_left.eq(load.rows)
        with m.If(open_row):
            m.d.sync += [
                begin.eq(next_begin),
                end.eq(next_begin + load.row_bytes),
                received.eq(0),
                position.eq(next_begin - load.window_lead),
                next_window.eq(next_begin - load.window_lead + load.window_step),
                bytes_left.eq(load.window_bytes),
                words_left.eq(load.window_words),
                windows_left.eq(load.windows),
                *address.begin(Mux(control.start, load.out_base, address.next_row)),
            ]

        # Behind the ring: a cycle to read it, a cycle to shift and fill.
        read_valid = Signal()
        read_address = Signal.like(address.here)
        read_enable = Signal(config.post_words)
        with m.If(free):
            m.d.sync += [
                read_valid.eq(issue),
                read_address.eq(address.here),
                read_enable.eq(thermometer(words_left, config.post_words)),
                first.eq(clamp(until_row, 0, step_bytes)),
                last.eq(clamp(until_end, 0, step_bytes)),
                write.valid.eq(read_valid),
                write.payload.address.eq(read_address),
                write.payload.enable.eq(read_enable),
            ]
            m.d.sync += write.payload.words.eq(
                Cat(
                    Mux((first <= byte) & (last > byte), ring.bytes[byte], load.fill.as_unsigned())
                    for byte in range(step_bytes)
                )
            )
        m.d.comb += control.finish.eq((rows_left == 0) & ~read_valid & free)

        with m.If(issue | ring.write | row_finished):
            m.d.comb += control.activity.eq(Activity.BUSY)
        with m.Elif(write.valid & ~write.ready):
            m.d.comb += control.activity.eq(Activity.WAIT_FEATURE)
        with m.Elif((rows_left != 0) & ~all_received):
            m.d.comb += control.activity.eq(Activity.WAIT_DRAM)
        with m.Else():
            m.d.comb += control.activity.eq(Activity.BUSY)
        return m
