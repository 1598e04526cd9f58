"""The POST engine: finished tiles to activations in the feature memory."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.config import DnaConfig
from hw.control.engine import EngineControl, field_registers, instruction_view
from hw.interfaces import EngineSignature, FeatureReadSignature, FeatureWriteSignature
from hw.isa import Join, Opcode, TablePlace
from hw.memory.parameter_memory import ParameterMemory
from hw.microarchitecture import CHOICE_LATENCY, POST_WORDS_UNDER_WAY
from hw.post.lookup import LookupTables
from hw.post.requantize import RequantizerLane
from hw.post.residual import JOIN_LAYOUT, MAX_SHIFT, MIN_SHIFT, AdderLane
from hw.post.tile_walker import LOOPS, TileWalker
from hw.status import Activity, Fault
from hw.streams.layouts import parameter_row_layout


def _refusal(m: Module, config: DnaConfig, control: EngineControl, post: SimpleNamespace) -> Value:
    """The :class:`Fault` of a POST instruction, in the cycle after ``load``."""
    new = instruction_view(control, Opcode.POST)
    covered = Signal(len(post.channel_tiles) + ceil_log2(config.modules), reset_less=True)
    too_many = Signal(len(post.out_words) + 1, reset_less=True)
    m.d.sync += [
        covered.eq((new.channel_tiles * config.modules) >> new.split),
        too_many.eq(new.out_words + (config.modules >> new.split)),
    ]
    bad_fields = [
        post.out_width == 0,
        post.out_words == 0,
        post.pixel_tiles == 0,
        post.tile_pixels > config.accumulation_depth,
        post.last_pixels == 0,
        post.last_pixels > post.tile_pixels,
        covered < post.out_words,
        covered >= too_many,
        post.out_base >= config.feature_words,
        post.residual & (post.res_base >= config.feature_words),
        post.residual & ((post.shift < MIN_SHIFT) | (post.shift > MAX_SHIFT)),
        post.residual & (post.res_width == 0),
        post.join > Join.MINIMUM,
        (post.table > TablePlace.FRONT)
        & ((post.table > TablePlace.BEHIND) | ~post.residual | (post.join == Join.PRODUCT)),
    ]
    return Mux(
        post.split > ceil_log2(config.modules),
        Fault.BAD_SPLIT,
        Mux(Cat(bad_fields).any(), Fault.BAD_FIELD, Fault.NONE),
    )


class PostEngine(wiring.Component):
    """Executes POST: requantizes finished tiles, adds the residual, writes the results.

    A table, where an instruction has one, stands in front of the addition or behind it. A product
    is made of the accumulators, in front of the requantizers; the table is behind it then.

    The parameters of the next tile load while one drains, across instructions too. Everything else
    drains between two instructions, because the constants of a layer stand beside the pipelines.

    Words are let in while there is room for them in front of the write port, and those of the other
    operand are there; then they go through the pipelines with a valid bit beside them, and nothing
    on this way has an enable.

    Rate: ``post_words`` words of a pixel per cycle. Latency: from pixel to write
    ``RequantizerLane.LATENCY`` + 3 cycles, ``AdderLane.LATENCY`` more with a residual, but
    ``AdderLane.PRODUCT_LATENCY`` with a product of it,
    ``LookupTables.LATENCY`` more with a table.

    Stall: a pixel waits for the table, the parameters of its tile, the banks that share the tile,
    the write port and the residual. All banks of a tile give a pixel together, in the cycle of its
    last words; those past the last word of the last channel tile give it too.

    Faults: ``BAD_SPLIT``; ``BAD_FIELD`` for counts of 0, tiles larger than the accumulation memory,
    a last tile larger than the others, channel tiles that do not fit ``out_words``, a base outside
    the feature memory, a ``shift`` out of 13..30 where there is a residual, a row of that for no
    pixel, a table in no place, a ``join`` of no name.

    Args:
        config: uses ``modules``, ``rows``, ``columns``, ``lanes``, ``accumulation_depth`` and
            ``feature_words``.

    Ports:
        engine: out, :class:`EngineSignature`. ``WAIT_ACCUMULATION``: no pixel; ``WAIT_WEIGHTS``:
            no parameters or no table; ``WAIT_FEATURE``: writes are not taken, or the residual is
            not there; the filling and emptying of the pipelines is ``BUSY``.
        parameters: in, stream of :func:`parameter_row_layout`.
        pixels: in, ``modules`` streams of signed(32) [``columns``], one per accumulation bank.
        residual: out, :class:`FeatureReadSignature`.
        results: out, :class:`FeatureWriteSignature`.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        pixel = data.ArrayLayout(signed(32), config.columns)
        super().__init__(
            {
                "engine": Out(EngineSignature()),
                "parameters": In(stream.Signature(parameter_row_layout(config))),
                "pixels": In(stream.Signature(pixel)).array(config.modules),
                "residual": Out(FeatureReadSignature(config)),
                "results": Out(FeatureWriteSignature(config)),
            }
        )

    def _requantize(
        self,
        m: Module,
        post: SimpleNamespace,
        accumulators: list[Signal],
        parameters: Any,
        multiplies: Value,
        products: list[Value],
    ) -> Signal:
        """Build the requantizers, and a register in front of each.

        That stands behind the memory of the parameters, whose output is late. The lanes have
        signals of their own, as CXXRTL copies all of what is written in parts.

        Args:
            accumulators: of the lanes.
            parameters: of these; ``PARAMETER_LAYOUT`` [``lanes``].
            multiplies: take ``products`` instead, and the scale of the instruction.
            products: of the lanes.

        Returns:
            The words at the end of the pipeline, signed(8) [``lanes``].
        """
        config = self._config
        requantized = Signal(data.ArrayLayout(signed(8), config.lanes))
        m.submodules.requantizers = lanes = Module()
        for lane in range(config.lanes):
            lanes.submodules[f"lane_{lane}"] = requantizer = RequantizerLane()
            acc, bias, scale = (
                Signal.like(port, name=f"{name}_{lane}", reset_less=True)
                for name, port in (
                    ("acc", requantizer.acc),
                    ("bias", requantizer.bias),
                    ("scale", requantizer.scale),
                )
            )
            lanes.d.sync += [
                acc.eq(Mux(multiplies, products[lane], accumulators[lane])),
                bias.eq(Mux(multiplies, 0, parameters[lane].bias)),
                scale.eq(Mux(multiplies, post.scale, parameters[lane].scale)),
            ]
            m.d.comb += [
                requantizer.acc.eq(acc),
                requantizer.bias.eq(bias),
                requantizer.scale.eq(scale),
                requantizer.zero_point.eq(post.zero_point),
                requantizer.lo.eq(post.lo),
                requantizer.hi.eq(post.hi),
                requantized[lane].eq(requantizer.o),
            ]
        return requantized

    def _chosen(self, m: Module, step_chunk: Value) -> list[Signal]:
        """Build the choice of accumulators, a cycle, for each lane.

        Args:
            step_chunk: which words of the pixels to take.
        """
        config = self._config
        m.submodules.accumulators = lanes = Module()
        accumulators = []
        for lane in range(config.lanes):
            word, column = divmod(lane, config.columns)
            accumulator = Signal(signed(32), name=f"accumulator_{lane}", reset_less=True)
            with lanes.Switch(step_chunk):
                for chunk in range(config.modules // config.post_words):
                    with lanes.Case(chunk):
                        bank = self.pixels[chunk * config.post_words + word]
                        lanes.d.sync += accumulator.eq(bank.payload[column])
            accumulators.append(accumulator)
        return accumulators

    def _add(
        self, m: Module, post: SimpleNamespace, a: Value, b: Value
    ) -> tuple[Signal, list[Value]]:
        """Build the adders of two words, signed(8) [``lanes``] each; gives sums and products."""
        config = self._config
        sums = Signal(data.ArrayLayout(signed(8), config.lanes))
        join = Signal(JOIN_LAYOUT)
        m.d.sync += [
            join.negates_a.eq(post.join == Join.REVERSED),
            join.negates_b.eq(post.join == Join.DIFFERENCE),
            join.extremum.eq((post.join == Join.MAXIMUM) | (post.join == Join.MINIMUM)),
            join.maximum.eq(post.join == Join.MAXIMUM),
        ]
        products: list[Value] = []
        m.submodules.adders = lanes = Module()
        for lane in range(config.lanes):
            lanes.submodules[f"lane_{lane}"] = adder = AdderLane()
            products.append(adder.product)
            m.d.comb += [
                adder.join.eq(join),
                adder.a.eq(a[8 * lane : 8 * (lane + 1)].as_signed()),
                adder.b.eq(b[8 * lane : 8 * (lane + 1)].as_signed()),
                adder.parameters.multiplier_a.eq(post.multiplier),
                adder.parameters.multiplier_b.eq(post.res_multiplier),
                adder.parameters.shift.eq(post.shift),
                adder.parameters.zero_point_a.eq(post.term_zero_point),
                adder.parameters.zero_point_b.eq(post.res_zero_point),
                adder.parameters.zero_point.eq(post.sum_zero_point),
                adder.parameters.lo.eq(post.sum_lo),
                adder.parameters.hi.eq(post.sum_hi),
                sums[lane].eq(adder.o),
            ]
        return sums, products

    def _operands(self, m: Module, asked: Signal) -> tuple[Any, Signal]:
        """Read the other operand ahead; gives its queue, and whether a word is left to ask for.

        Args:
            asked: a word is to be there when what is let in in this cycle needs it.
        """
        operands = SyncFIFO(width=8 * self._config.lanes, depth=POST_WORDS_UNDER_WAY)
        m.submodules.operands = operands
        came = Signal()
        left = Signal(range(POST_WORDS_UNDER_WAY + 1), name="operands_left")
        m.d.comb += [
            operands.w_data.eq(self.residual.responses.payload),
            operands.w_en.eq(self.residual.responses.valid),
            self.residual.responses.ready.eq(operands.w_rdy),
            came.eq(self.residual.responses.valid & operands.w_rdy),
        ]
        m.d.sync += left.eq(left + came - asked)
        return operands, left != 0

    def elaborate(self, platform: Any) -> Module:
        """Build the intake, the two pipelines and the addresses that run beside them."""
        m = Module()
        config = self._config

        m.submodules.control = control = EngineControl()
        post = field_registers(m, control, Opcode.POST)
        m.submodules.parameters = parameters = ParameterMemory(config)
        m.submodules.tables = tables = LookupTables(config)
        m.submodules.order = order = TileWalker(config)
        m.submodules.residual_order = residual_order = TileWalker(config)
        wiring.connect(m, wiring.flipped(self.engine), control.engine)
        rows = self.parameters
        m.d.comb += [
            parameters.rows.payload.eq(rows.payload),
            tables.rows.payload.eq(rows.payload.row),
            parameters.rows.valid.eq(rows.valid & ~rows.payload.table),
            tables.rows.valid.eq(rows.valid & rows.payload.table),
            rows.ready.eq(Mux(rows.payload.table, tables.rows.ready, parameters.rows.ready)),
        ]

        # Where the words are, and where those of the residual are.
        for walker, start, base, pitch in (
            (order, control.start, post.out_base, post.out_pitch),
            (residual_order, control.start & post.residual, post.res_base, post.res_pitch),
        ):
            m.d.comb += [walker.start.eq(start), walker.base.eq(base), walker.pitch.eq(pitch)]
            m.d.comb += [getattr(walker, name).eq(getattr(post, name)) for name in LOOPS]
        m.d.comb += [
            residual_order.out_width.eq(post.res_width),
            self.residual.requests.valid.eq(residual_order.steps.valid),
            self.residual.requests.payload.address.eq(residual_order.steps.payload.address),
            self.residual.requests.payload.enable.eq(residual_order.steps.payload.enable),
            residual_order.steps.ready.eq(self.residual.requests.ready),
        ]

        # What is written, and where: an entry of ``targets`` is a place in ``results``.
        write = self.results.requests
        target = data.StructLayout(
            {"address": write.payload.address.shape(), "enable": config.post_words, "last": 1}
        )
        m.submodules.targets = targets = SyncFIFO(width=target.size, depth=POST_WORDS_UNDER_WAY)
        m.submodules.results_queue = results = SyncFIFO(
            width=8 * config.lanes, depth=POST_WORDS_UNDER_WAY
        )

        # Intake: words of a pixel, with their parameters, in front of the requantizers.
        step = order.steps.payload
        in_use = Signal(config.modules)  # banks of this layer
        complete = Signal()
        issue = Signal()
        adds = Signal()
        has_table = Signal()
        table_there = Signal()
        operands, operand_there = self._operands(m, adds)
        m.d.sync += [
            in_use.eq(
                Cat(number < (config.modules >> post.split) for number in range(config.modules))
            ),
            has_table.eq(post.table != 0),
        ]
        m.d.comb += [
            complete.eq((Cat(bank.valid for bank in self.pixels) | ~in_use).all()),
            issue.eq(
                order.steps.valid
                & complete
                & parameters.available
                & table_there
                & targets.w_rdy
                & (operand_there | ~post.residual)
            ),
            table_there.eq(tables.available | (post.table == 0)),
            adds.eq(issue & post.residual),
            order.steps.ready.eq(issue),
            parameters.chunk.eq(step.chunk),
            parameters.read.eq(issue),
            parameters.release.eq(issue & step.ends_tile),
            targets.w_en.eq(issue),
            targets.w_data.eq(Cat(step.address, step.enable, step.ends_layer)),
        ]
        m.d.comb += [
            bank.ready.eq(issue & step.ends_pixel & in_use[number])
            for number, bank in enumerate(self.pixels)
        ]

        # Through the requantizers, and through table and adders or past them, to the write port.
        front, behind = Signal(), Signal()
        multiplies, sums_up = Signal(), Signal()
        accumulators = self._chosen(m, step.chunk)
        bytes_of = Cat(accumulator[:8] for accumulator in accumulators)
        requantized = Signal(8 * config.lanes)
        a = Signal(8 * config.lanes)  # as an expression it would be there again in every lane
        m.d.comb += a.eq(Mux(multiplies, bytes_of, Mux(front, tables.o, requantized)))
        sums, products = self._add(m, post, a, operands.r_data)
        results_of = self._requantize(m, post, accumulators, parameters.word, multiplies, products)
        chosen = Signal()  # accumulators
        multiplied = Signal(AdderLane.PRODUCT_LATENCY)
        entered = Signal(CHOICE_LATENCY - 1 + RequantizerLane.LATENCY)
        looked_up = Signal(LookupTables.LATENCY)
        added = Signal(AdderLane.LATENCY)
        valid = entered[-1]
        enters_adders = Signal()
        m.d.comb += [
            requantized.eq(results_of),
            front.eq(post.table == TablePlace.FRONT),
            behind.eq(post.table == TablePlace.BEHIND),
            tables.i.eq(Mux(behind, sums.as_value(), requantized)),
            tables.release.eq(control.finish & has_table),
            enters_adders.eq(Mux(multiplies, chosen, sums_up & Mux(front, looked_up[-1], valid))),
        ]
        m.d.sync += [
            multiplies.eq(post.residual & (post.join == Join.PRODUCT)),
            sums_up.eq(post.residual & (post.join != Join.PRODUCT)),
            chosen.eq(issue),
            multiplied.eq(Cat(chosen, multiplied)),
            entered.eq(Cat(Mux(multiplies, multiplied[-1], chosen), entered)),
            looked_up.eq(Cat(Mux(behind, added[-1], valid), looked_up)),
            added.eq(Cat(enters_adders & sums_up, added)),
        ]
        m.d.comb += operands.r_en.eq(enters_adders)
        with m.If(behind | (front & ~sums_up)):
            m.d.comb += [results.w_en.eq(looked_up[-1]), results.w_data.eq(tables.o)]
        with m.Elif(sums_up):
            m.d.comb += [results.w_en.eq(added[-1]), results.w_data.eq(sums)]
        with m.Else():
            m.d.comb += [results.w_en.eq(valid), results.w_data.eq(requantized)]

        written = Signal()
        ended = Signal()
        current = data.View(target, targets.r_data)
        m.d.comb += [
            write.valid.eq(results.r_rdy),
            write.payload.words.eq(results.r_data),
            write.payload.address.eq(current.address),
            write.payload.enable.eq(current.enable),
            written.eq(write.valid & write.ready),
            results.r_en.eq(written),
            targets.r_en.eq(written),
            control.refuse.eq(_refusal(m, config, control, post)),
            control.finish.eq(ended & ~self.results.pending),
        ]
        m.d.sync += ended.eq((written & current.last) | (ended & ~control.finish))

        with m.If(issue | written):
            m.d.comb += control.activity.eq(Activity.BUSY)
        with m.Elif(write.valid):
            m.d.comb += control.activity.eq(Activity.WAIT_FEATURE)
        with m.Elif(order.steps.valid & ~complete):
            m.d.comb += control.activity.eq(Activity.WAIT_ACCUMULATION)
        with m.Elif(order.steps.valid & ~(parameters.available & table_there)):
            m.d.comb += control.activity.eq(Activity.WAIT_WEIGHTS)
        with m.Elif(order.steps.valid & post.residual & ~operand_there):
            m.d.comb += control.activity.eq(Activity.WAIT_FEATURE)
        with m.Else():
            m.d.comb += control.activity.eq(Activity.BUSY)
        return m
