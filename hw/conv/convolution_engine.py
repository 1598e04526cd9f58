"""The CONV engine: everything from windows and weights to finished sums."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.config import DnaConfig
from hw.conv.activation_reader import ActivationReader
from hw.conv.admission import Admission
from hw.conv.interconnect import Interconnect
from hw.conv.systolic_array import SystolicArray
from hw.conv.weight_unpacker import WeightUnpacker
from hw.interfaces import EngineSignature, WindowReadSignature
from hw.isa import Opcode
from hw.isa.layout import instruction_layout
from hw.memory.accumulation_memory import AccumulationMemory
from hw.microarchitecture import ENTRY_LATENCY
from hw.status import Activity
from hw.streams.delay import delay
from hw.streams.layouts import parameter_row_layout
from hw.streams.stream_fork import StreamFork


class ConvolutionEngine(wiring.Component):
    """Executes CONV: G convolution modules in lock-step between feature and accumulation memory.

    All modules take their pixels and weights at the same time, and all banks that the interconnect
    is open to take the sums at the same time. What may stop a pixel or a row of weights is asked
    once, before its window is read (:class:`hw.conv.admission.Admission`); from there on it goes
    through window, arrays, adders and accumulators with a valid bit beside it, and nothing on this
    way has an enable.

    Rate: one pixel per cycle. A pass of P pixels takes max(P, R x G x C / dram_bytes_per_cycle,
    k + 1) cycles; a tile adds the DRAM words of its parameters to that of its first pass, an
    instruction those of the header and 2 cycles. The next instruction is prepared while one runs.

    Latency: from the entry of a tile's last pixel to its first one in ``pixels``:
    ``ENTRY_LATENCY`` + R + C - 2 + ``ELEMENT_LATENCY`` + log2 G + ``ACCUMULATION_LATENCY`` + 2.

    Stall: pixels wait for weights and for a tile of the accumulation memory. ``engine.activity``
    tells what for: BUSY when a pixel is let in, else WAIT_ACCUMULATION when the next one begins a
    tile for which there is no place, else WAIT_WEIGHTS when there are no weights, else
    WAIT_FEATURE. ``engine.done`` is high when the last window of an instruction is read: its input
    is not needed any more.

    Args:
        config: uses all but ``lanes`` and ``weight_fifo_words``.

    Ports:
        engine: out, :class:`EngineSignature`.
        window: out, :class:`WindowReadSignature`.
        weights: in, stream of unsigned(8 x dram_bytes_per_cycle), the weight stream.
        parameters: out, stream of :func:`hw.streams.layouts.parameter_row_layout`.
        pixels: out, stream of signed(32) [C] for each bank [G]. Banks below G / k give the
            tiles of an instruction, pixel by pixel, together.
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
        """Wire the blocks; what moves in lock-step is decided once."""
        m = Module()
        config = self._config
        m.submodules.reader = reader = ActivationReader(config)
        m.submodules.unpacker = unpacker = WeightUnpacker(config)
        m.submodules.admission = admission = Admission(config)
        m.submodules.interconnect = interconnect = Interconnect(config)
        arrays = [
            SystolicArray(rows=config.rows, columns=config.columns) for _ in range(config.modules)
        ]
        for number, array in enumerate(arrays):
            m.submodules[f"array_{number}"] = array

        self._dispatch(m, reader, unpacker)
        connect(m, reader.requests, flipped(self.window.requests))
        connect(m, flipped(self.weights), unpacker.words)
        connect(m, unpacker.parameters, flipped(self.parameters))
        connect(m, reader.pixels, admission.pixels)
        m.d.comb += [
            admission.rows.valid.eq(unpacker.weights.valid),
            unpacker.weights.ready.eq(admission.rows.ready),
        ]
        self._enter(m, admission, unpacker, arrays)
        self._link(m, reader, arrays, interconnect)
        m.d.comb += admission.released.eq(self._accumulate(m, interconnect))

        pixels = reader.pixels
        with m.If(~reader.running & ~self.engine.instructions.valid):
            m.d.comb += self.engine.activity.eq(Activity.IDLE)
        with m.Elif(pixels.valid & pixels.ready):
            m.d.comb += self.engine.activity.eq(Activity.BUSY)
        with m.Elif(pixels.valid & pixels.payload.begins & ~admission.credits[0]):
            m.d.comb += self.engine.activity.eq(Activity.WAIT_ACCUMULATION)
        with m.Elif(~admission.has_weights):
            m.d.comb += self.engine.activity.eq(Activity.WAIT_WEIGHTS)
        with m.Else():
            m.d.comb += self.engine.activity.eq(Activity.WAIT_FEATURE)
        return m

    def _dispatch(self, m: Module, reader: ActivationReader, unpacker: WeightUnpacker) -> None:
        """Give instructions to the reader, which judges them, and to the unpacker.

        The reader forgets its judgement when it takes the instruction. By then the unpacker has it:
        it waits only for the judgement and for rows of the instruction before, all of which have
        been used when the reader can begin.
        """
        instructions, fault = self.engine.instructions, self.engine.fault
        m.submodules.fork = fork = StreamFork(instruction_layout(Opcode.CONV), consumers=2)
        connect(m, fork.outputs[0], reader.instructions)
        m.d.comb += [
            fork.input.payload.eq(instructions.payload),
            fork.input.valid.eq(instructions.valid),
            instructions.ready.eq(fork.input.ready),
            unpacker.instructions.payload.eq(fork.outputs[1].payload),
            unpacker.instructions.valid.eq(fork.outputs[1].valid & reader.judged),
            fork.outputs[1].ready.eq(unpacker.instructions.ready & reader.judged),
            self.engine.done.eq(reader.done),
        ]
        m.d.comb += [
            fault.valid.eq(reader.fault.valid | unpacker.fault.valid),
            fault.code.eq(Mux(unpacker.fault.valid, unpacker.fault.code, reader.fault.code)),
            fault.address.eq(
                Mux(unpacker.fault.valid, unpacker.fault.address, reader.fault.address)
            ),
        ]

    def _enter(
        self,
        m: Module,
        admission: Admission,
        unpacker: WeightUnpacker,
        arrays: list[SystolicArray],
    ) -> None:
        """Bring weights to the arrays as long after they were let in as a window takes."""

        def later(value: Any, name: str, *, reset_less: bool) -> Any:
            return delay(m, value, ENTRY_LATENCY, name, reset_less=reset_less)

        swap = later(admission.swap, "swap", reset_less=False)
        load = later(admission.load, "load", reset_less=False)
        load_row = later(admission.load_row, "load_row", reset_less=True)
        for number, array in enumerate(arrays):
            weights = unpacker.weights.payload[number].as_value()
            m.d.comb += [
                array.activations.eq(self.window.words[number]),
                array.swap.eq(swap),
                array.load.eq(load),
                array.load_row.eq(load_row),
                array.weights.as_value().eq(later(weights, f"weights_{number}", reset_less=True)),
            ]

    def _link(
        self,
        m: Module,
        reader: ActivationReader,
        arrays: list[SystolicArray],
        interconnect: Interconnect,
    ) -> None:
        """Bring the sums of all modules together with the flags that their pixels came with."""
        pixel, sums = reader.pixels.payload, interconnect.sums
        latency = ENTRY_LATENCY + arrays[0].latency
        flags = Cat(pixel.first, pixel.last, pixel.final, pixel.split)
        # In one register: of a register each, the simulator would copy them one by one.
        valids = Signal(latency)
        beside = Signal(len(flags) * latency, reset_less=True)
        m.d.sync += [
            valids.eq(Cat(reader.pixels.valid & reader.pixels.ready, valids)),
            beside.eq(Cat(flags, beside)),
        ]
        m.d.comb += [
            sums.valid.eq(valids[-1]),
            Cat(sums.payload.first, sums.payload.last, sums.payload.final, sums.payload.split).eq(
                beside[len(flags) * (latency - 1) :]
            ),
        ]
        for number, array in enumerate(arrays):
            m.d.comb += [
                narrow.eq(wide)
                for narrow, wide in zip(sums.payload.data[number], array.sums, strict=True)
            ]

    def _accumulate(self, m: Module, interconnect: Interconnect) -> Signal:
        """Put a bank behind each link; gives whether a tile has left them."""
        config = self._config
        banks = [
            AccumulationMemory(columns=config.columns, depth=config.accumulation_depth)
            for _ in range(config.modules)
        ]
        source = interconnect.banks
        for number, bank in enumerate(banks):
            m.submodules[f"bank_{number}"] = bank
            output = self.pixels[number]
            is_open = Signal(name=f"open_{number}")
            m.d.comb += [
                is_open.eq(number < (config.modules >> source.payload.split)),
                bank.sums.valid.eq(is_open & source.valid),
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
        return banks[0].released
