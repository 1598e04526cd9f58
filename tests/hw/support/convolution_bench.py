"""Runs CONV instructions on an engine and a feature memory in Amaranth's simulator."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from amaranth.hdl import Module, Value
from amaranth.lib import wiring
from amaranth.sim import Simulator

from hw.config import DnaConfig
from hw.conv.convolution_engine import ConvolutionEngine
from hw.memory.feature_memory import FeatureMemory
from hw.status import Activity
from tests.hw.support.layers import Layer
from tests.hw.support.streams import from_bits


@dataclass
class Run:
    """What was seen from the first instruction on."""

    pixels: list[list[list[int]]]
    parameters: list[dict[str, int]] = field(default_factory=list)
    activity: Counter[Activity] = field(default_factory=Counter)
    done: list[int] = field(default_factory=list)
    fault: tuple[int, int] | None = None
    cycles: int = 0


class ConvolutionBench:
    """An engine and its memory, built once for many runs."""

    def __init__(self, config: DnaConfig) -> None:
        self.config = config
        self.engine = ConvolutionEngine(config)
        self.memory = FeatureMemory(config)
        top = Module()
        top.submodules.engine = self.engine
        top.submodules.memory = self.memory
        wiring.connect(top, self.engine.window, self.memory.window)
        self._used = False
        self._simulator = Simulator(top)
        self._simulator.add_clock(1e-6)
        self._simulator.add_testbench(self._testbench)

    def run(
        self,
        layers: Sequence[Layer],
        *,
        pace: Mapping[str, float] | None = None,
        seed: int = 0,
        patience: int = 150,
        instructions: Sequence[bytes] | None = None,
        stream: bytes | None = None,
    ) -> Run:
        """Load the layers' images, give the instructions, and collect until nothing moves.

        Args:
            pace: chance per cycle that ``weights`` are valid, and ``parameters`` and ``pixels``
                (all banks together) ready; 1 if absent.
            patience: cycles without a transfer after which all is over.
            instructions, stream: other ones than the layers'.
        """
        self._layers = layers
        self._instructions = (
            [layer.instruction.encode() for layer in layers]
            if instructions is None
            else instructions
        )
        self._stream = b"".join(layer.stream for layer in layers) if stream is None else stream
        self._pace, self._random, self._patience = pace or {}, random.Random(seed), patience
        if self._used:
            self._simulator.reset()
        self._used = True
        self._simulator.run()
        return self.result

    def _chance(self, name: str) -> bool:
        return self._random.random() < self._pace.get(name, 1)

    async def _testbench(self, ctx: Any) -> None:
        engine, config = self.engine, self.config
        self.result = run = Run([[] for _ in engine.pixels])

        writer = self.memory.writers[0].requests
        ctx.set(writer.valid, 1)
        ctx.set(writer.payload.enable, 1)
        for layer in self._layers:
            for address, word in layer.words.items():
                ctx.set(writer.payload.address, address)
                ctx.set(writer.payload.words[0], word)
                await ctx.tick()
        ctx.set(writer.valid, 0)

        instructions = [int.from_bytes(code, "little") for code in self._instructions]
        size = config.dram_bytes_per_cycle
        words = [
            int.from_bytes(self._stream[at : at + size], "little")
            for at in range(0, len(self._stream), size)
        ]
        inputs = [
            ("instructions", engine.engine.instructions, instructions),
            ("weights", engine.weights, words),
        ]
        outputs = [("parameters", engine.parameters), *(("pixels", p) for p in engine.pixels)]
        sampled = [
            signal
            for _, port, *_ in (*inputs, *outputs)
            for signal in (port.valid, port.ready, Value.cast(port.payload))
        ]
        fault = engine.engine.fault
        sampled += [engine.engine.done, engine.engine.activity, fault.valid, fault.code]
        sampled += [fault.address, self.memory.fault.valid]
        sent, offered = [0, 0], [False, False]
        cycle = last_transfer = 0
        while cycle - last_transfer <= self._patience:
            for index, (name, port, items) in enumerate(inputs):
                more = sent[index] < len(items)
                offered[index] = more and (offered[index] or self._chance(name))
                ctx.set(port.valid, offered[index])
                noise = self._random.getrandbits(8 * size)
                ctx.set(Value.cast(port.payload), items[sent[index]] if offered[index] else noise)
            ready = {name: self._chance(name) for name in ("parameters", "pixels")}
            for name, port in outputs:
                ctx.set(port.ready, ready[name])

            _, _, *values = await ctx.tick().sample(*sampled)
            for index in range(len(inputs)):
                if values[3 * index] and values[3 * index + 1]:
                    sent[index] += 1
                    offered[index] = False
                    last_transfer = cycle
            for index, (name, port) in enumerate(outputs, len(inputs)):
                valid, ready, bits = values[3 * index : 3 * index + 3]
                if valid and ready:
                    word = from_bits(port.payload.shape(), bits)
                    if name == "parameters":
                        run.parameters.append(word)
                    else:
                        run.pixels[index - len(inputs) - 1].append(word)
                    last_transfer = cycle
            done, activity, failed, code, address, conflict = values[-6:]
            assert not conflict, "bank conflict"
            run.activity[Activity(activity)] += 1
            if activity != Activity.IDLE:
                run.cycles = cycle + 1
            if done:
                run.done.append(cycle)
            if failed:
                run.fault = (code, address)
            cycle += 1
        assert run.fault or sent == [len(instructions), len(words)], f"stuck with {sent} sent"


def check(bench: ConvolutionBench, layers: Sequence[Layer], **options: Any) -> Run:
    """Run the layers and compare everything with what must come out."""
    run = bench.run(layers, **options)
    assert run.fault is None
    assert any(layer.bank_pixels(0) for layer in layers), "nothing would be checked"
    for bank, pixels in enumerate(run.pixels):
        expected = [pixel for layer in layers for pixel in layer.bank_pixels(bank)]
        assert pixels == expected, f"bank {bank}"
    rows = [
        {
            "row": int.from_bytes(row.tobytes(), "little"),
            "last": number == len(tile) - 1,
            "table": 0,
        }
        for layer in layers
        for tile in layer.parameter_rows
        for number, row in enumerate(tile)
    ]
    assert run.parameters == rows
    assert len(run.done) == len(layers)
    busy = sum(layer.channel_tiles * layer.pixels * layer.passes for layer in layers)
    assert run.activity[Activity.BUSY] == busy
    return run
