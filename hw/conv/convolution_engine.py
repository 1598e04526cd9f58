"""The CONV engine: everything from windows and weights to finished sums."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.config import DnaConfig
from hw.conv.activation_reader import ActivationReader
from hw.conv.convolution_module import ConvolutionModule
from hw.conv.interconnect import Interconnect
from hw.conv.weight_unpacker import WeightUnpacker
from hw.interfaces import EngineSignature, WindowReadSignature
from hw.isa import Opcode
from hw.isa.layout import instruction_layout
from hw.memory.accumulation_memory import AccumulationMemory
from hw.status import Activity
from hw.streams.layouts import parameter_row_layout
from hw.streams.stream_fork import StreamFork


class ConvolutionEngine(wiring.Component):
    """Executes CONV: G convolution modules in lock-step between feature and accumulation memory.

    All modules take their pixels and weights at the same time, and all banks that the interconnect
    is open to take the sums at the same time: one that cannot stops all of them.

    Rate: one pixel per cycle. A pass of P pixels takes max(P, R x G x C / dram_bytes_per_cycle, k)
    cycles; a tile adds the DRAM words of its parameters to that of its first pass, an instruction
    those of the header and 2 cycles. The next instruction may be taken while one runs.

    Latency: a tile's first pixel is in ``pixels`` R + C + split + 1 cycles after its last one has
    entered the modules.

    Stall: every port may. ``engine.activity`` tells what for: BUSY when a pixel enters the modules,
    else WAIT_ACCUMULATION when their sums cannot leave, because a bank has no free tile, else
    WAIT_WEIGHTS when the modules have no weights, else WAIT_FEATURE. ``engine.done`` is high when
    the last pixel of an instruction enters the modules: its input is not needed any more.

    Args:
        config: uses all but ``lanes`` and ``weight_fifo_words``.

    Ports:
        engine: out, :class:`EngineSignature`.
        window: out, :class:`WindowReadSignature`.
        weights: in, stream of unsigned(8 x dram_bytes_per_cycle), the weight stream.
        parameters: out, stream of :func:`hw.streams.layouts.parameter_row_layout`.
        pixels: out, stream of signed(32) [C] for each bank [G]. Banks below G / k give the
            tiles of an instruction, pixel by pixel.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        pixel = data.ArrayLayout(signed(32), config.columns)
        super().__init__(
            {
                "engine": Out(EngineSignature()),
                "window": Out(WindowReadSignature(config)),
                "weights": In(stream.Signature(unsigned(8 * config.dram_bytes_per_cycle))),
                "parameters": Out(stream.Signature(parameter_row_layout(config))),
                "pixels": Out(stream.Signature(pixel)).array(config.modules),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Wire the blocks; what moves in lock-step is decided once, from the first of its kind."""
        m = Module()
        config = self._config
        m.submodules.reader = reader = ActivationReader(config)
        m.submodules.unpacker = unpacker = WeightUnpacker(config)
        m.submodules.interconnect = interconnect = Interconnect(config)
        modules = [
            ConvolutionModule(rows=config.rows, columns=config.columns)
            for _ in range(config.modules)
        ]
        for number, module in enumerate(modules):
            m.submodules[f"module_{number}"] = module

        self._dispatch(m, reader, unpacker)
        connect(m, reader.window, flipped(self.window))
        connect(m, flipped(self.weights), unpacker.words)
        connect(m, unpacker.parameters, flipped(self.parameters))

        leader = modules[0]
        pixel = reader.pixels.payload
        for number, module in enumerate(modules):
            m.d.comb += [
                module.weights.valid.eq(unpacker.weights.valid),
                module.weights.payload.eq(unpacker.weights.payload[number]),
                module.activations.valid.eq(reader.pixels.valid),
                module.activations.payload.data.eq(pixel.words[number]),
                module.activations.payload.first.eq(pixel.first),
                module.activations.payload.last.eq(pixel.last),
                module.activations.payload.final.eq(pixel.final),
            ]
        m.d.comb += [
            unpacker.weights.ready.eq(leader.weights.ready),
            reader.pixels.ready.eq(leader.activations.ready),
        ]
        self._link(m, reader, modules, interconnect)
        self._accumulate(m, interconnect)

        stopped = leader.sums.valid & ~leader.sums.ready
        with m.If(~reader.running & ~self.engine.instructions.valid):
            m.d.comb += self.engine.activity.eq(Activity.IDLE)
        with m.Elif(reader.pixels.valid & reader.pixels.ready):
            m.d.comb += self.engine.activity.eq(Activity.BUSY)
        with m.Elif(stopped):
            m.d.comb += self.engine.activity.eq(Activity.WAIT_ACCUMULATION)
        with m.Elif(~reader.pixels.ready):
            m.d.comb += self.engine.activity.eq(Activity.WAIT_WEIGHTS)
        with m.Else():
            m.d.comb += self.engine.activity.eq(Activity.WAIT_FEATURE)
        return m

    def _dispatch(self, m: Module, reader: ActivationReader, unpacker: WeightUnpacker) -> None:
        """Give instructions to the reader, which judges them, and to the unpacker."""
        instructions, fault = self.engine.instructions, self.engine.fault
        m.submodules.fork = fork = StreamFork(instruction_layout(Opcode.CONV), consumers=2)
        connect(m, fork.outputs[0], reader.instructions)
        m.d.comb += [
            fork.input.payload.eq(instructions.payload),
            fork.input.valid.eq(instructions.valid),
            instructions.ready.eq(fork.input.ready),
            unpacker.instructions.payload.eq(fork.outputs[1].payload),
            unpacker.instructions.valid.eq(fork.outputs[1].valid & ~reader.fault.valid),
            fork.outputs[1].ready.eq(unpacker.instructions.ready & ~reader.fault.valid),
            self.engine.done.eq(reader.done),
        ]
        m.d.comb += [
            fault.valid.eq(reader.fault.valid | unpacker.fault.valid),
            fault.code.eq(Mux(unpacker.fault.valid, unpacker.fault.code, reader.fault.code)),
            fault.address.eq(
                Mux(unpacker.fault.valid, unpacker.fault.address, reader.fault.address)
            ),
        ]

    def _link(
        self,
        m: Module,
        reader: ActivationReader,
        modules: list[ConvolutionModule],
        interconnect: Interconnect,
    ) -> None:
        """Bring the sums of all modules together with the split that their pixels came with."""
        leader = modules[0].sums
        split = reader.pixels.payload.split
        latency = self._config.rows + self._config.columns - 1
        splits = Signal(len(split) * latency, reset_less=True)
        with m.If(~leader.valid | leader.ready):
            m.d.sync += splits.eq(Cat(split, splits))

        sums = interconnect.sums
        m.d.comb += [
            sums.valid.eq(leader.valid),
            sums.payload.first.eq(leader.payload.first),
            sums.payload.last.eq(leader.payload.last),
            sums.payload.final.eq(leader.payload.final),
            sums.payload.split.eq(splits[len(split) * (latency - 1) :]),
        ]
        for number, module in enumerate(modules):
            m.d.comb += module.sums.ready.eq(sums.ready)
            m.d.comb += [
                narrow.eq(wide)
                for narrow, wide in zip(
                    sums.payload.data[number], module.sums.payload.data, strict=True
                )
            ]

    def _accumulate(self, m: Module, interconnect: Interconnect) -> None:
        """Put a bank behind each link; open ones take a pixel together."""
        config = self._config
        banks = [
            AccumulationMemory(columns=config.columns, depth=config.accumulation_depth)
            for _ in range(config.modules)
        ]
        source = interconnect.banks
        waits = Signal(len(banks))
        m.d.comb += source.ready.eq(~waits.any())
        for number, bank in enumerate(banks):
            m.submodules[f"bank_{number}"] = bank
            output = self.pixels[number]
            is_open = Signal(name=f"open_{number}")
            m.d.comb += [
                is_open.eq(number < (config.modules >> source.payload.split)),
                waits[number].eq(is_open & ~bank.sums.ready),
                bank.sums.valid.eq(is_open & source.valid & source.ready),
                bank.sums.payload.first.eq(source.payload.first),
                bank.sums.payload.last.eq(source.payload.last),
                bank.sums.payload.final.eq(source.payload.final),
                output.valid.eq(bank.pixels.valid),
                output.payload.eq(bank.pixels.payload.data),
                bank.pixels.ready.eq(output.ready),
            ]
            m.d.comb += [
                wide.eq(narrow)
                for wide, narrow in zip(
                    bank.sums.payload.data, source.payload.data[number], strict=True
                )
            ]
