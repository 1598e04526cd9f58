"""The DEPTHWISE engine: depthwise convolution from the feature memory to the feature memory."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import Out

from hw.arithmetic.integers import thermometer
from hw.config import DnaConfig
from hw.control.engine import EngineControl, field_registers
from hw.depthwise import block_walker, row_reader
from hw.depthwise.block_walker import BlockWalker
from hw.depthwise.joint_pixels import JOINT, JointPixels
from hw.depthwise.line_buffer import CHOICE, LineBuffer
from hw.depthwise.parameter_rows import ParameterRows
from hw.depthwise.row_reader import RowReader
from hw.depthwise.tap_sum import TapSum
from hw.interfaces import EngineSignature, FeatureReadSignature, FeatureWriteSignature
from hw.isa import Opcode
from hw.memory.row_address import RowAddress
from hw.microarchitecture import (
    BIAS_BITS,
    DEPTHWISE_COLUMNS,
    DEPTHWISE_KERNEL,
    DEPTHWISE_PREPARATION,
    POST_WORDS_UNDER_WAY,
)
from hw.post.requantize import RequantizerLane
from hw.status import Activity, Fault
from hw.streams.delay import delay


class DepthwiseEngine(wiring.Component):
    """Executes DEPTHWISE: a window of each channel by itself, requantized.

    The input is read once, ``depthwise_words`` words at a time, of one pixel or of several
    neighbouring ones, into a line buffer.
    Behind it each channel has nine multipliers, which take a block of 3 x 3 taps in a cycle; larger
    windows take several, up to 9 x 9. A group of words is computed for the whole map before the
    next one, which is read meanwhile, as are its parameters.

    Blocks are let in while there is a place for the result in front of the write port; then they go
    through taps and requantizers with a valid bit beside them, and nothing on this way has an
    enable.

    Rate: a block per cycle, a word of the input per cycle. Latency: from a block to its result at
    the write port ``LineBuffer.LATENCY`` + ``TapSum.LATENCY`` + ``RequantizerLane.LATENCY`` + 1
    cycles.

    Stall: a row of results waits for the input rows under it, reads for places in the line buffer,
    results for the write port.

    Faults: ``BAD_FIELD`` for counts of 0, a kernel larger than ``DEPTHWISE_KERNEL``, a padding that
    is negative or not less than its side of the kernel, an input wider than ``DEPTHWISE_COLUMNS``,
    a base outside the feature memory, pixels that cannot share cycles as ``split`` says
    (:class:`hw.depthwise.joint_pixels.JointPixels`).

    Args:
        config: uses ``rows``, ``lanes``, ``feature_words`` and ``depthwise_words``.

    Ports:
        engine: out, :class:`EngineSignature`. ``WAIT_FEATURE``: nothing comes from or goes to the
            feature memory, and nothing is on its way through the taps.
        features: out, :class:`FeatureReadSignature`, scattered.
        results: out, :class:`FeatureWriteSignature`, scattered.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        super().__init__(
            {
                "engine": Out(EngineSignature()),
                "features": Out(FeatureReadSignature(config, scattered=True)),
                "results": Out(FeatureWriteSignature(config, scattered=True)),
            }
        )

    def _refusal(self, op: SimpleNamespace, joint: JointPixels) -> Value:
        words = self._config.feature_words
        counts = ("in_words", "in_height", "in_width", "kernel_height", "kernel_width", "stride")
        bad_fields = [
            *(getattr(op, name) == 0 for name in (*counts, "out_height", "out_width")),
            *(getattr(op, name) >= words for name in ("in_base", "out_base", "parameters")),
            op.in_width > DEPTHWISE_COLUMNS,
            joint.unfit,
        ]
        for kernel, padding in (
            (op.kernel_height, op.pad_top),
            (op.kernel_width, op.pad_left),
        ):
            bad_fields += [kernel > DEPTHWISE_KERNEL, padding < 0, padding >= kernel]
        return Mux(Cat(bad_fields).any(), Fault.BAD_FIELD, Fault.NONE)

    def elaborate(self, platform: Any) -> Module:
        """Build the reads, the walk, the way through the taps, and the writes."""
        m = Module()
        config = self._config
        m.submodules.control = control = EngineControl()
        op = field_registers(m, control, Opcode.DEPTHWISE)
        m.submodules.joint = joint = JointPixels(config)
        m.submodules.reader = reader = RowReader(config)
        m.submodules.line_buffer = lines = LineBuffer(config)
        m.submodules.parameter_rows = parameters = ParameterRows(config)
        m.submodules.walker = walker = BlockWalker(config)
        wiring.connect(m, wiring.flipped(self.engine), control.engine)
        wiring.connect(m, reader.features.requests, wiring.flipped(self.features.requests))
        wiring.connect(m, wiring.flipped(self.features.responses), reader.features.responses)
        begin = delay(m, control.start, DEPTHWISE_PREPARATION, "begin", reset_less=False)
        given: list[tuple[Any, Any, tuple[str, ...]]] = [
            (joint, op, JOINT),
            (reader, op, row_reader.READS),
            (reader, joint, row_reader.SHARED),
            (walker, op, block_walker.WALK),
            (walker, joint, block_walker.SHARED),
            (lines, op, CHOICE),
        ]
        for block, source, names in given:
            m.d.comb += [getattr(block, name).eq(getattr(source, name)) for name in names]

        step, target, results, issue = self._admit(m, op, walker, joint, begin)
        m.d.comb += [
            self.features.offsets.eq(joint.offsets),
            self.results.offsets.eq(joint.offsets),
            reader.begin.eq(begin),
            reader.blocks.eq(walker.blocks),
            reader.released.eq(walker.released),
            reader.releases.eq(issue & step.ends_group),
            walker.begin.eq(begin),
            walker.filled.eq(reader.filled),
            lines.write.eq(reader.fills),
            lines.place.eq(reader.place),
            lines.word.eq(reader.word),
            lines.read.eq(issue),
            lines.at.eq(step.at),
            lines.rows_inside.eq(walker.rows_inside),
            lines.columns_inside.eq(walker.columns_inside),
            lines.fill.eq(op.in_zero_point),
            parameters.write.eq(reader.loads),
            parameters.is_byte.eq(reader.is_byte),
            parameters.byte.eq(reader.byte),
            parameters.write_block.eq(reader.block),
            parameters.write_half.eq(reader.half),
            parameters.row.eq(reader.parameter_row),
        ]

        # Beside a block on its way: which weights it needs two cycles before it is at the taps, and
        # which bias and scale a cycle before its sum is there. Both are overwritten later than
        # that, since a read takes ``FEATURE_READ_LATENCY`` and weights come before the rest.
        sums = lines.LATENCY + TapSum.LATENCY
        half = delay(m, step.half, lines.LATENCY - 2, "half")
        m.d.comb += [
            parameters.half.eq(half),
            parameters.block.eq(delay(m, step.block, lines.LATENCY - 2, "block")),
            parameters.bytes_half.eq(delay(m, half, sums - lines.LATENCY + 1, "bytes_half")),
        ]
        first = delay(m, step.first, sums - 1, "first")
        entered = Signal(sums + RequantizerLane.LATENCY)
        on_its_way = Signal()  # some are, as ``entered`` says
        m.d.sync += [
            entered.eq(Cat(issue & step.last, entered)),
            on_its_way.eq((issue & step.last) | entered[:-1].any()),
        ]
        m.d.comb += [
            results.w_en.eq(entered[-1]),
            results.w_data.eq(self._compute(m, op, lines, parameters, first)),
        ]

        write = self.results.requests
        written, ended = Signal(), Signal()
        m.d.comb += [
            write.valid.eq(results.r_rdy),
            write.payload.words.eq(results.r_data),
            write.payload.address.eq(target.address),
            write.payload.enable.eq(target.enable),
            written.eq(write.valid & write.ready),
            results.r_en.eq(written),
            control.refuse.eq(self._refusal(op, joint)),
            control.finish.eq(ended & ~reader.busy & ~self.results.pending),
        ]
        m.d.sync += ended.eq((written & target.last) | (ended & ~control.finish))
        moves = issue | reader.fills | reader.loads | written | on_its_way
        m.d.comb += control.activity.eq(Mux(moves, Activity.BUSY, Activity.WAIT_FEATURE))
        return m

    def _admit(
        self,
        m: Module,
        op: SimpleNamespace,
        walker: BlockWalker,
        joint: JointPixels,
        begin: Value,
    ) -> tuple[Any, Any, SyncFIFO, Signal]:
        """Let blocks in while their result has a place; gives the block, and what is written next.

        Returns:
            The block on offer; where the result in front is written; the queue of results; whether
            the block is let in.
        """
        config = self._config
        words = config.depthwise_words
        write = self.results.requests
        layout = data.StructLayout(
            {"address": write.payload.address.shape(), "enable": config.post_words, "last": 1}
        )
        m.submodules.targets = targets = SyncFIFO(width=layout.size, depth=POST_WORDS_UNDER_WAY)
        m.submodules.results_queue = results = SyncFIFO(
            width=8 * config.rows * words, depth=POST_WORDS_UNDER_WAY
        )
        step = walker.steps.payload
        issue = Signal()
        address = write.payload.address.shape()
        group = Signal(address)
        pixel = RowAddress(m, address, pitch=op.out_pitch, name="target")
        m.d.comb += [
            walker.steps.ready.eq(targets.w_rdy),
            issue.eq(walker.steps.valid & targets.w_rdy),
            targets.w_en.eq(issue & step.last),
            targets.w_data.eq(
                Cat(
                    pixel.here,
                    Mux(op.split == 0, thermometer(walker.words_left, words), joint.results),
                    Const(0, config.post_words - words),
                    step.ends_layer,
                )
            ),
            targets.r_en.eq(write.valid & write.ready),
        ]
        with m.If(issue & step.last):
            m.d.sync += pixel.advance(joint.write_step)
        with m.If(issue & step.ends_row):
            m.d.sync += pixel.advance_row()
        with m.If(issue & step.ends_group):
            m.d.sync += [group.eq(group + joint.group), *pixel.begin(group + joint.group)]
        with m.If(begin):
            m.d.sync += [group.eq(op.out_base), *pixel.begin(op.out_base)]
        return step, data.View(layout, targets.r_data), results, issue

    def _compute(
        self,
        m: Module,
        op: SimpleNamespace,
        lines: LineBuffer,
        parameters: ParameterRows,
        first: Value,
    ) -> Value:
        """Build taps and requantizer of each channel; gives the words that leave them."""
        channels = self._config.rows * self._config.depthwise_words
        requantized = Signal(data.ArrayLayout(signed(8), channels))
        m.submodules.channels = lanes = Module()
        for channel in range(channels):
            byte = slice(8 * channel, 8 * (channel + 1))
            lanes.submodules[f"taps_{channel}"] = taps = TapSum()
            lanes.submodules[f"lane_{channel}"] = requantizer = RequantizerLane()
            said = Cat(row[byte] for row in parameters.bytes)
            m.d.comb += [
                *(
                    port.eq(tap[byte])
                    for port, tap in zip(taps.activations, lines.taps, strict=True)
                ),
                *(
                    port.eq(row[byte])
                    for port, row in zip(taps.weights, parameters.weights, strict=True)
                ),
                taps.first.eq(first),
                requantizer.acc.eq(taps.o),
                requantizer.bias.eq(said[:BIAS_BITS]),
                requantizer.scale.eq(said[BIAS_BITS:]),
                requantizer.zero_point.eq(op.zero_point),
                requantizer.lo.eq(op.lo),
                requantizer.hi.eq(op.hi),
                requantized[channel].eq(requantizer.o),
            ]
        return requantized.as_value()
