"""The LOAD engine: DRAM to feature memory, through a window packer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
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
from hw.streams.register_slice import RegisterSlice
from hw.transfer.row_ring import RowRing

ROW_BITS = 32
"""Of a byte's place in a row, signed; the last window ends below 2^14 x 2^16 + 2^12 x 2^7."""
POSITION_BITS = 24
"""Of distances inside a window and to its neighbours, signed: a window has at most 2^12 feature
words of at most 2^7 bytes, and DRAM words are received at most the ring's length beyond those that
are wanted. What is received behind a row's last window is not counted any more."""


class LoadEngine(wiring.Component):
    """Executes LOAD: rows of DRAM, cut into windows that may overlap, into feature words.

    Window i of a row is its bytes ``i * window_step - window_lead`` to ``window_bytes`` more; what
    is outside of the row, and the rest of ``window_words`` feature words, is ``fill``. The requests
    of all rows are made ahead; bytes of a row that no window wants are thrown away.

    Rate: up to ``post_words`` feature words of one window per cycle, but no more than DRAM gives
    bytes for; a few cycles between two rows. Latency: 5 cycles from a DRAM word to its first
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
        m.submodules.writes = writes = RegisterSlice(self.results.requests.payload.shape())
        wiring.connect(m, wiring.flipped(self.engine), control.engine)
        wiring.connect(m, writes.output, wiring.flipped(self.results.requests))
        m.d.comb += control.refuse.eq(self._refusal(load))

        word_bytes, step_bytes = config.dram_bytes_per_cycle, config.lanes
        word_bits, chunk_bits = ceil_log2(word_bytes), ceil_log2(config.load_chunk_bytes)
        chunk_words = config.load_chunk_bytes // word_bytes
        words = self.memory.words
        row_reach = Signal(len(load.row_bytes) + 1)
        m.d.sync += row_reach.eq(load.row_bytes + (word_bytes - 1))
        self._ask(m, control, load, row_reach)

        # The row to come. Positions count from the first byte of a row's first DRAM word: its first
        # byte is at ``begin``, its last before ``end``, its first window begins at ``head``.
        next_begin, begin = Signal(word_bits), Signal(word_bits)
        next_end, end = Signal(len(row_reach)), Signal(len(row_reach))
        next_words = Signal(len(row_reach) - word_bits)
        next_head = Signal(signed(POSITION_BITS))
        m.d.sync += [
            next_end.eq(next_begin + load.row_bytes),
            next_words.eq((next_begin + row_reach) >> word_bits),
            next_head.eq(next_begin - load.window_lead),
        ]

        # What is known of the row that is open, and of its window, each in a register.
        opens, is_open = Signal(), Signal()
        rows_left, is_done = Signal.like(load.rows), Signal(init=1)
        receiving, is_last_word = Signal(), Signal()
        to_receive = Signal.like(next_words)
        received = Signal(range(config.load_chunk_bytes * LOAD_CHUNKS // word_bytes))  # a slot
        position = Signal(signed(ROW_BITS))  # where the next feature words begin
        next_window = Signal(signed(ROW_BITS))
        jump = Signal(signed(POSITION_BITS))  # from ``position`` to ``next_window``
        ahead = Signal(signed(POSITION_BITS))  # from ``position`` to the end of what is received
        bytes_left = Signal(signed(POSITION_BITS))  # of the window from ``position`` on
        words_left, ends_window = Signal.like(load.window_words), Signal()
        is_padding = Signal()  # no byte is left
        windows_left, no_windows = Signal.like(load.windows), Signal()
        address = RowAddress(
            m,
            self.results.requests.payload.address.shape(),
            pitch=load.out_pitch,
            name="address",
        )

        # Words into the ring, unless they would overwrite what is still wanted. ``room`` counts
        # those that fit, and learns what is wanted no more some cycles later.
        room = Signal(signed(POSITION_BITS))
        keep = Signal(range(1 << (ROW_BITS - chunk_bits)))  # chunk of the first byte still wanted
        kept, gained = Signal.like(keep), Signal(signed(len(keep) + 1))
        wanted = Signal(signed(ROW_BITS))
        m.d.comb += [
            wanted.eq(Mux(jump < 0, next_window, position)),
            words.ready.eq(receiving & ((room > 0) | no_windows)),
            ring.write.eq(words.valid & words.ready),
            ring.word.eq(words.payload),
            ring.slot.eq(received),
        ]
        m.d.sync += [
            keep.eq(Mux(wanted < 0, 0, wanted >> chunk_bits)),
            kept.eq(keep),
            gained.eq(keep - kept),
            room.eq(room + (gained << ceil_log2(chunk_words)) - ring.write),
        ]
        with m.If(ring.write):
            m.d.sync += [
                received.eq(received + 1),
                to_receive.eq(to_receive - 1),
                is_last_word.eq(to_receive == 2),
            ]
            with m.If(is_last_word):
                m.d.sync += receiving.eq(0)

        # Feature words out of it, a window after the other.
        issue = Signal()
        moves = Signal()
        there = ~receiving | is_padding | (ahead >= step_bytes)
        step = Signal.like(jump)
        m.d.comb += [
            moves.eq(writes.input.ready),
            issue.eq(is_open & ~no_windows & there & moves),
            ring.position.eq(position),
            ring.read.eq(moves),
            step.eq(Mux(ends_window, jump, step_bytes)),
        ]
        m.d.sync += ahead.eq(ahead + Mux(ring.write, word_bytes, 0) - Mux(issue, step, 0))
        with m.If(issue):
            m.d.sync += [
                position.eq(position + step_bytes),
                jump.eq(jump - step_bytes),
                bytes_left.eq(bytes_left - step_bytes),
                is_padding.eq(bytes_left <= step_bytes),
                words_left.eq(words_left - config.post_words),
                ends_window.eq(words_left <= 2 * config.post_words),
                *address.advance(Mux(ends_window, words_left, config.post_words)),
            ]
        begins_window = Signal()
        m.d.comb += begins_window.eq(issue & ends_window)
        with m.If(begins_window):
            m.d.sync += [
                position.eq(next_window),
                next_window.eq(next_window + load.window_step),
                windows_left.eq(windows_left - 1),
                no_windows.eq(windows_left == 1),
            ]
        with m.If(begins_window | opens):
            m.d.sync += [
                jump.eq(load.window_step),
                bytes_left.eq(load.window_bytes),
                is_padding.eq(0),
                words_left.eq(load.window_words),
                ends_window.eq(load.window_words <= config.post_words),
            ]

        empty, closes = self._shift(
            m, load, ring, writes, issue=issue, position=position, bytes_left=bytes_left,
            begin=begin, end=end, address=address.here, words_left=words_left,
        )  # fmt: skip

        # From row to row. The one to come is measured while the one before runs.
        row_finished = Signal()
        starting = Signal()
        m.d.comb += row_finished.eq(is_open & no_windows & ~receiving & closes)
        m.d.sync += [starting.eq(control.start), opens.eq(starting)]
        with m.If(row_finished):
            m.d.sync += [
                is_open.eq(0),
                rows_left.eq(rows_left - 1),
                opens.eq(rows_left != 1),
                is_done.eq(rows_left == 1),
            ]
        with m.If(opens):
            m.d.sync += [
                is_open.eq(1),
                begin.eq(next_begin),
                end.eq(next_end),
                next_begin.eq(next_begin + load.dram_pitch),
                receiving.eq(1),
                received.eq(0),
                to_receive.eq(next_words),
                is_last_word.eq(next_words == 1),
                position.eq(next_head),
                next_window.eq(next_head + load.window_step),
                ahead.eq(-next_head),
                windows_left.eq(load.windows),
                no_windows.eq(0),
                keep.eq(0),
                kept.eq(0),
                gained.eq(0),
                room.eq(LOAD_CHUNKS * chunk_words),
                *address.begin(address.next_row),
            ]
        with m.If(control.start):
            m.d.sync += [rows_left.eq(load.rows), is_done.eq(0), next_begin.eq(load.dram)]
            m.d.sync += address.row.eq(load.out_base - load.out_pitch)
        m.d.comb += control.finish.eq(is_done & empty & ~self.results.pending)

        with m.If(issue | ring.write | row_finished):
            m.d.comb += control.activity.eq(Activity.BUSY)
        with m.Elif(~moves):
            m.d.comb += control.activity.eq(Activity.WAIT_FEATURE)
        with m.Elif(receiving):
            m.d.comb += control.activity.eq(Activity.WAIT_DRAM)
        with m.Else():
            m.d.comb += control.activity.eq(Activity.BUSY)
        return m

    def _ask(
        self, m: Module, control: EngineControl, load: SimpleNamespace, row_reach: Signal
    ) -> None:
        """Ask for the rows of DRAM, each in a request of its own, measured when it is made."""
        word_bits = ceil_log2(self._config.dram_bytes_per_cycle)
        request = self.memory.requests
        left = Signal.like(load.rows, name="rows_to_request")
        start = Signal(unsigned(32), name="request_start")
        with m.If(request.ready):
            m.d.sync += request.valid.eq(0)
        with m.If(~request.valid & (left != 0)):
            m.d.sync += [
                request.valid.eq(1),
                request.payload.offset.eq(Cat(Const(0, word_bits), start[word_bits:])),
                request.payload.length.eq((start[:word_bits] + row_reach) >> word_bits),
                left.eq(left - 1),
                start.eq(start + load.dram_pitch),
            ]
        with m.If(control.start):
            m.d.sync += [left.eq(load.rows), start.eq(load.dram)]

    def _shift(
        self,
        m: Module,
        load: SimpleNamespace,
        ring: RowRing,
        writes: RegisterSlice,
        *,
        issue: Value,
        position: Value,
        bytes_left: Value,
        begin: Value,
        end: Value,
        address: Value,
        words_left: Value,
    ) -> tuple[Value, Value]:
        """What happens beside the ring in its three cycles, and behind it.

        Of the bytes that are read, those from ``first`` on and before the two ends are in the row
        and in the window.

        Returns:
            Whether nothing is on its way; whether ``begin`` and ``end`` may change.
        """
        config = self._config
        step_bytes, moves = config.lanes, writes.input.ready
        valid = Signal(3, name="stages")
        enables = [Signal(config.post_words, name=f"enable_{stage}") for stage in range(3)]
        places = [Signal.like(address, name=f"address_{stage}") for stage in range(3)]
        read_position, read_bytes = Signal.like(position), Signal.like(bytes_left)
        until_row, in_row = Signal(signed(ROW_BITS)), Signal(signed(ROW_BITS))
        in_window = Signal.like(bytes_left)
        first, row_end, window_end = (
            Signal(range(step_bytes + 1), name=name) for name in ("first", "row_end", "window_end")
        )
        with m.If(moves):
            m.d.sync += [
                valid.eq(Cat(issue, valid)),
                places[0].eq(address),
                enables[0].eq(thermometer(words_left, config.post_words)),
                read_position.eq(position),
                read_bytes.eq(bytes_left),
                until_row.eq(begin - read_position),
                in_row.eq(end - read_position),
                in_window.eq(read_bytes),
                first.eq(clamp(until_row, 0, step_bytes)),
                row_end.eq(clamp(in_row, 0, step_bytes)),
                window_end.eq(clamp(in_window, 0, step_bytes)),
            ]
            for before, behind in ((0, 1), (1, 2)):
                m.d.sync += [
                    places[behind].eq(places[before]),
                    enables[behind].eq(enables[before]),
                ]
        write = writes.input
        m.d.comb += [
            write.valid.eq(valid[2]),
            write.payload.address.eq(places[2]),
            write.payload.enable.eq(enables[2]),
            write.payload.words.eq(
                Cat(
                    Mux(
                        (first <= byte) & (row_end > byte) & (window_end > byte),
                        ring.bytes[byte],
                        load.fill.as_unsigned(),
                    )
                    for byte in range(step_bytes)
                )
            ),
        ]
        return ~valid.any() & ~writes.output.valid, ~valid[0] | moves
