"""The POOL engine: maximum over a window, and mean over height and width."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import Out
from amaranth.utils import ceil_log2

from hw.arithmetic.float32 import BINARY32_LAYOUT
from hw.config import DnaConfig
from hw.control.engine import EngineControl, instruction_view
from hw.interfaces import EngineSignature, FeatureReadSignature, FeatureWriteSignature
from hw.isa import Opcode
from hw.microarchitecture import FEATURE_READS
from hw.pool.group_writer import GroupWriter
from hw.pool.mean import MeanUnit
from hw.pool.window_walker import WALK, WindowWalker
from hw.status import Activity, Fault

PADDING = -128
"""What a window sees outside of the input; no maximum is less."""


class PoolEngine(wiring.Component):
    """Executes MAX_POOL and MEAN.

    MAX_POOL reads ``post_words`` words a cycle, of several pixels of a window's row if they have
    fewer (and a power of two), and writes while it reads the next window. Each lane keeps a
    maximum; those of the same word meet on the way to the write port. MEAN reads ``post_words``
    words of one pixel a cycle and beside that computes a channel a cycle of the group of words
    before.

    Rate: MAX_POOL one read per cycle. MEAN pixels or ``lanes`` + ``MeanUnit.PIPELINE`` + 2 cycles,
    whichever are more, for ``post_words`` words.

    Latency: an answer is at maxima and sums in the cycle after it came; MAX_POOL offers the words
    of a window to the write port in the cycle after that of the last one.

    Stall: reads wait while the write of the window before last is not taken.

    Faults: ``BAD_FIELD`` for counts of 0 and bases outside the feature memory; in MEAN, for more
    pixels than the feature memory has words, a multiplier that is not a positive normal float32, an
    offset that is neither normal nor zero.

    Args:
        config: uses ``rows``, ``lanes`` and ``feature_words``.

    Ports:
        engine: out, :class:`EngineSignature`. ``WAIT_FEATURE``: nothing comes from or goes to the
            feature memory.
        features: out, :class:`FeatureReadSignature`.
        results: out, :class:`FeatureWriteSignature`.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        super().__init__(
            {
                "engine": Out(EngineSignature()),
                "features": Out(FeatureReadSignature(config)),
                "results": Out(FeatureWriteSignature(config)),
            }
        )

    def _load_fields(self, m: Module, control: EngineControl) -> SimpleNamespace:
        """Registers for the fields of MAX_POOL; a MEAN is one window over the whole input."""
        pool = instruction_view(control, Opcode.MAX_POOL)
        mean = instruction_view(control, Opcode.MEAN)
        is_mean = Signal()
        written = ("out_base", "out_pitch", "out_step")
        shapes = {**WALK, **{name: getattr(pool, name).shape() for name in written}}
        of_mean = {
            "in_step": mean.in_words,
            "out_step": mean.in_words,
            "kernel_height": mean.in_height,
            "kernel_width": mean.in_width,
            "stride": 1,
            "pad_top": 0,
            "pad_left": 0,
            "out_height": 1,
            "out_width": 1,
            "out_pitch": 0,
        }
        fields = SimpleNamespace(
            is_mean=is_mean,
            together=Signal(),
            multiplier=Signal(BINARY32_LAYOUT),
            offset=Signal(BINARY32_LAYOUT),
            pixels=Signal(2 * len(mean.in_height)),
            **{name: Signal(shape, name=name) for name, shape in shapes.items()},
        )
        m.d.sync += fields.pixels.eq(mean.in_height * mean.in_width)  # as the fields at ``load``
        with m.If(control.load):
            m.d.sync += [
                is_mean.eq(pool.opcode == Opcode.MEAN),
                fields.together.eq((pool.opcode != Opcode.MEAN) & (pool.in_step == pool.in_words)),
                fields.multiplier.eq(mean.multiplier),
                fields.offset.eq(mean.offset),
            ]
            with m.If(pool.opcode == Opcode.MEAN):
                m.d.sync += [
                    getattr(fields, name).eq(of_mean[name] if name in of_mean else mean[name])
                    for name in shapes
                ]
            with m.Else():
                m.d.sync += [getattr(fields, name).eq(pool[name]) for name in shapes]
        return fields

    def _refusal(self, fields: SimpleNamespace) -> Value:
        words = self._config.feature_words
        multiplier, offset = fields.multiplier, fields.offset
        counts = WALK.keys() - {"in_base", "in_pitch", "pad_top", "pad_left"}
        bad_fields = [
            *(getattr(fields, name) == 0 for name in sorted(counts)),
            fields.in_base >= words,
            fields.out_base >= words,
            fields.out_step < fields.in_words,
        ]
        bad_mean = [
            fields.pixels > words,
            multiplier.negative,
            multiplier.exponent == 0,
            multiplier.exponent.all(),
            (offset.exponent == 0) & (offset.fraction != 0),
            offset.exponent.all(),
        ]
        bad = Cat(bad_fields).any() | (fields.is_mean & Cat(bad_mean).any())
        return Mux(bad, Fault.BAD_FIELD, Fault.NONE)

    def _maximum(self, m: Module, word: Any, there: Value, first: Value, taken: Value) -> Value:
        """The maximum of ``word`` and those before it of the window, channel by channel.

        A signal for each channel, not one for all: CXXRTL copies all of what is written in parts.
        """
        channels = []
        for value in word:
            before = Signal(signed(8), reset_less=True)
            most = Signal(signed(8))
            seen = Mux(there, value, PADDING)
            m.d.comb += most.eq(Mux(first | (seen > before), seen, before))
            with m.If(taken):
                m.d.sync += before.eq(most)
            channels.append(most)
        return Cat(channels)

    def _write(self, m: Module, writer: GroupWriter, fields: SimpleNamespace) -> None:
        """Connect the write port; of lanes that hold the same word, the greatest is written."""
        config = self._config
        held, write = writer.results.requests, self.results.requests
        m.d.comb += [
            write.valid.eq(held.valid),
            write.payload.eq(held.payload),
            held.ready.eq(write.ready),
        ]
        lanes = [
            [held.payload.words[lane][i] for i in range(config.rows)]
            for lane in range(config.post_words)
        ]
        # Pixels of 1 << n words are read together.
        together = Signal(ceil_log2(config.post_words))
        m.d.sync += together.eq(
            Cat(fields.together & (fields.in_words == 1 << n) for n in range(len(together)))
        )
        for shift in reversed(range(len(together))):
            half = 1 << shift
            folded = []
            for lane in range(half):
                greatest = Signal(
                    data.ArrayLayout(signed(8), config.rows), name=f"of_{half}_{lane}"
                )
                m.d.comb += [
                    greatest[i].eq(Mux(a > b, a, b))
                    for i, (a, b) in enumerate(zip(lanes[lane], lanes[lane + half], strict=True))
                ]
                folded.append(greatest)
            lanes = [[word[i] for i in range(config.rows)] for word in folded]
            with m.If(together[shift]):
                m.d.comb += [write.payload.words[lane].eq(word) for lane, word in enumerate(folded)]

    def elaborate(self, platform: Any) -> Module:
        """Build the reads, the two ways to reduce a window, and the writes."""
        m = Module()
        config = self._config
        m.submodules.control = control = EngineControl()
        fields = self._load_fields(m, control)
        m.submodules.walker = walker = WindowWalker(config)
        m.submodules.mean_unit = mean_unit = MeanUnit(config)
        m.submodules.writer = writer = GroupWriter(config)
        wiring.connect(m, wiring.flipped(self.engine), control.engine)
        ended = Signal()
        m.d.sync += ended.eq(writer.finished | (ended & ~control.finish))
        m.d.comb += [
            control.refuse.eq(self._refusal(fields)),
            control.finish.eq(ended & ~self.results.pending),
            walker.start.eq(control.start),
            walker.together.eq(fields.together),
            writer.start.eq(control.start),
            writer.base.eq(fields.out_base),
            writer.pitch.eq(fields.out_pitch),
            writer.words.eq(fields.in_words),
            writer.step.eq(fields.out_step),
            writer.width.eq(fields.out_width),
            writer.height.eq(fields.out_height),
            mean_unit.multiplier.eq(fields.multiplier),
            mean_unit.offset.eq(fields.offset),
        ]
        m.d.comb += [getattr(walker, name).eq(getattr(fields, name)) for name in WALK]

        # Reads, and what is known of each when its answer comes.
        tap, request = walker.requests, self.features.requests
        tag = data.StructLayout({"enable": config.post_words, "first": 1, "last": 1})
        m.submodules.tags = tags = SyncFIFO(width=tag.size, depth=FEATURE_READS)
        m.d.comb += [
            request.valid.eq(tap.valid & tags.w_rdy),
            request.payload.address.eq(tap.payload.address),
            request.payload.enable.eq(tap.payload.enable),
            tap.ready.eq(request.ready & tags.w_rdy),
            tags.w_en.eq(request.valid & request.ready),
            tags.w_data.eq(Cat(tap.payload.enable, tap.payload.first, tap.payload.last)),
        ]
        # The queue that gives an answer is as wide as all lanes and its output late, a sum takes
        # most of a cycle: a register stands between them.
        response = self.features.responses
        there = Signal()
        words = Signal.like(response.payload, reset_less=True)
        known = Signal(tag, reset_less=True)
        ready, came = Signal(), Signal()
        m.d.comb += [
            came.eq(there & ready),
            response.ready.eq(~there | ready),
            tags.r_en.eq(response.valid & response.ready),
        ]
        with m.If(response.ready):
            m.d.sync += [
                there.eq(response.valid),
                words.eq(response.payload),
                known.eq(tags.r_data),
            ]

        # Each word that comes back is joined to those of its window before it.
        most = [
            self._maximum(m, words[lane], known.enable[lane], known.first, came)
            for lane in range(config.post_words)
        ]
        means = mean_unit.results.payload
        m.d.comb += [
            mean_unit.pixels.payload.words.eq(words),
            mean_unit.pixels.payload.first.eq(known.first),
            mean_unit.pixels.payload.last.eq(known.last),
        ]
        with m.If(fields.is_mean):
            m.d.comb += [
                mean_unit.pixels.valid.eq(there),
                ready.eq(mean_unit.pixels.ready),
                writer.valid.eq(mean_unit.results.valid),
                mean_unit.results.ready.eq(writer.ready),
                writer.group_words.eq(means.as_value()),
            ]
        with m.Else():
            m.d.comb += [
                ready.eq(~known.last | writer.ready),
                writer.valid.eq(there & known.last),
                writer.group_words.eq(Cat(most)),
            ]
        self._write(m, writer, fields)

        write = self.results.requests
        went = write.valid & write.ready
        computing = mean_unit.busy & ~write.valid
        m.d.comb += control.activity.eq(
            Mux(came | went | computing, Activity.BUSY, Activity.WAIT_FEATURE)
        )
        return m
