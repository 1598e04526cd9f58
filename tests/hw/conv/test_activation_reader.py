import random

import numpy as np
import pytest
from amaranth.hdl import Value
from amaranth.sim import Simulator

from hw.config import DnaConfig
from hw.conv.activation_reader import ActivationReader
from hw.isa import Instruction, Opcode
from hw.microarchitecture import ACCUMULATION_LATENCY, WALK_LATENCY
from hw.status import Fault
from tests.hw.support.layers import Layer
from tests.hw.support.streams import from_bits


def config(modules=4):
    return DnaConfig(
        name="test",
        modules=modules,
        rows=4,
        columns=4,
        lanes=4,
        accumulation_depth=8,
        dram_bytes_per_cycle=8,
        feature_words=1024,
        weight_fifo_words=4,
    )


def windows_of(layer):
    """What must be asked for: (address by module that is enabled, tag), pixel by pixel."""
    height, width, _ = layer.image.shape
    kernel_height, kernel_width = layer.weights.shape[:2]
    slices = [
        (ky, kx, word)
        for ky in range(kernel_height)
        for kx in range(kernel_width)
        for word in range(layer.in_words)
    ]
    out_width = layer.sums.shape[1] // layer.neighbours
    for words in range(0, layer.channel_tiles * layer.group_words, layer.group_words):
        for tile in range(0, layer.pixels, layer.tile_pixels):
            pixels = range(tile, min(tile + layer.tile_pixels, layer.pixels))
            for number in range(layer.passes):
                lanes = slices[number << layer.split :][: 1 << layer.split]
                for pixel in pixels:
                    oy, ox = divmod(pixel, out_width)
                    addresses = {}
                    for module in range(layer.config.modules):
                        group, lane = divmod(module, 1 << layer.split)
                        neighbour = 0
                        if layer.neighbours > 1:
                            neighbour = (words + group) // layer.out_words
                        if lane >= len(lanes) or neighbour >= layer.neighbours:
                            continue
                        ky, kx, word = lanes[lane]
                        y = oy * layer.strides[0] - layer.pads[0] + ky
                        column = ox * layer.neighbours + neighbour
                        x = column * layer.strides[1] - layer.pads[1] + kx
                        if 0 <= y < height and 0 <= x < width:
                            addresses[module] = (
                                layer.base + y * layer.pitch + x * layer.in_words + word
                            )
                    first, final = number == 0, number == layer.passes - 1
                    yield addresses, first | (pixel == pixels[-1]) << 1 | final << 2


class Bench:
    """A reader between instructions and whoever lets its pixels in."""

    def __init__(self, config):
        self.config = config
        self.dut = ActivationReader(config)
        self.simulator = Simulator(self.dut)
        self.simulator.add_clock(1e-6)
        self.simulator.add_testbench(self.testbench)
        self.used = False

    def run(self, instructions, *, offers=1.0, entries=1.0, patience=60, seed=0):
        """``offers``: chance that an instruction is on offer; ``entries``: that a pixel enters."""
        if self.used:
            self.simulator.reset()
        self.used = True
        self.instructions = [int.from_bytes(code, "little") for code in instructions]
        self.chances, self.patience = (offers, entries), patience
        self.random = random.Random(seed)
        self.requests, self.asked, self.pixels, self.cycles, self.done = [], [], [], [], []
        self.fault = None
        self.simulator.run()
        return self

    async def testbench(self, ctx):
        dut, request = self.dut, self.dut.requests
        sent, offered = 0, False
        cycle = last_transfer = 0
        signals = [
            dut.instructions.ready,
            request.valid,
            Value.cast(request.payload),
            dut.pixels.valid,
            dut.pixels.ready,
            Value.cast(dut.pixels.payload),
            dut.done,
            dut.running,
            dut.judged,
            dut.fault.valid,
            dut.fault.code,
            dut.fault.address,
        ]
        while cycle - last_transfer < self.patience:
            more = sent < len(self.instructions)
            offered = more and (offered or self.random.random() < self.chances[0])
            ctx.set(dut.instructions.valid, offered)
            noise = self.random.getrandbits(512)
            ctx.set(
                Value.cast(dut.instructions.payload), self.instructions[sent] if offered else noise
            )
            ctx.set(dut.pixels.ready, self.random.random() < self.chances[1])
            values = (await ctx.tick().sample(*signals))[2:]
            taken, asks, window, valid, ready, pixel, *rest = values
            done, running, judged, failed, code, address = rest
            if offered and taken:
                assert judged
                sent += 1
                offered = False
            if asks:
                self.requests.append(from_bits(request.payload.shape(), window))
                self.asked.append(cycle)
            if valid and ready:
                last_transfer = cycle
                self.pixels.append(from_bits(dut.pixels.payload.shape(), pixel))
                self.cycles.append(cycle)
                assert running
            if done:
                self.done.append(len(self.requests))
            if failed:
                self.fault = (Fault(code), address)
                assert not judged
            cycle += 1
        assert self.fault or not running
        assert self.fault or sent == len(self.instructions)
        assert self.asked == [asked + WALK_LATENCY for asked in self.cycles]


@pytest.fixture(scope="module", params=[2, 4, 8])
def bench(request):
    return Bench(config(request.param))


def check(bench, layers, **options):
    run = bench.run([layer.instruction.encode() for layer in layers], **options)
    assert run.fault is None
    requests, pixels = iter(run.requests), iter(run.pixels)
    before = None
    ends, count = [], 0
    for layer in layers:
        for addresses, tag in windows_of(layer):
            window, pixel = next(requests), next(pixels)
            enabled = [i for i in range(bench.config.modules) if window["enable"] >> i & 1]
            assert {module: window["addresses"][module] for module in enabled} == addresses
            different = set(addresses.values())
            assert len({address % bench.config.modules for address in different}) == len(different)
            assert window["fill"] == layer.zero_point
            assert pixel["first"] | pixel["last"] << 1 | pixel["final"] << 2 == tag
            assert pixel["split"] == layer.split
            # The first pass of a tile comes behind the final one of another.
            assert pixel["begins"] == (tag & 1 and (before is None or before & 6 == 6))
            before = tag
            count += 1
        ends.append(count)
    assert next(requests, None) is None and next(pixels, None) is None
    assert run.done == ends
    return run


def layers_of(config, seed, count=3, **given):
    rng = np.random.default_rng(seed)
    return [Layer.random(config, rng, **given) for _ in range(count)]


@pytest.mark.parametrize("seed", range(6))
def test_random_layers(bench, seed):
    offers, entries = [(1, 1), (0.1, 1), (1, 0.5), (0.2, 0.7), (1, 0.9), (1, 0.3)][seed]
    layers = layers_of(bench.config, seed, out_channels=9)
    check(bench, layers, offers=offers, entries=entries, seed=seed)


@pytest.mark.parametrize("split", range(3))
def test_single_pixels(split):
    """As in a classifier, where every pass is one pixel and every tile too."""
    given = {"kernel_height": 1, "kernel_width": 1, "height": 1, "width": 1, "pads": (0, 0, 0, 0)}
    bench = Bench(config(4))
    check(bench, layers_of(bench.config, 1, split=split, in_channels=20, **given))


def test_a_large_window_with_padding_all_round():
    bench = Bench(config(4))
    layers = layers_of(
        bench.config,
        2,
        count=1,
        kernel_height=7,
        kernel_width=7,
        height=9,
        width=8,
        stride=2,
        column_stride=0,
        pads=(3, 3, 3, 3),
        in_channels=3,
        out_channels=4,
        split=2,
    )
    check(bench, layers)


def test_addresses_are_modulo_the_memory():
    """The window of a padded first pixel begins before the image, at a negative address."""
    bench = Bench(config(4))
    given = {"kernel_height": 3, "kernel_width": 3, "pads": (1, 1, 1, 1), "height": 4, "width": 4}
    check(bench, layers_of(bench.config, 3, count=1, base=0, **given))


@pytest.mark.parametrize("split", range(3))
def test_no_bubble_inside_an_instruction(split):
    """Passes are longer than k."""
    bench = Bench(config(4))
    given = {"height": 6, "width": 6, "tile_pixels": 6, "kernel_height": 3, "kernel_width": 1}
    layers = layers_of(
        bench.config,
        4,
        count=3,
        split=split,
        stride=1,
        column_stride=0,
        pads=(1, 0, 1, 0),
        out_channels=18,
        neighbours=1,
        **given,
    )
    run = check(bench, layers)
    starts = [0, *run.done[:-1]]
    ends = run.done
    for start, end in zip(starts, ends, strict=True):
        cycles = run.cycles[start:end]
        assert cycles == list(range(cycles[0], cycles[0] + len(cycles)))
    # From one instruction to the next two cycles are lost.
    assert [run.cycles[i] - run.cycles[i - 1] for i in starts[1:]] == [3, 3]


GOOD = {
    "layer": 77,
    "in_pitch": 4,
    "in_words": 1,
    "in_height": 4,
    "in_width": 4,
    "kernel_height": 1,
    "kernel_width": 3,
    "stride": 1,
    "column_stride": 0,
    "out_width": 2,
    "channel_tiles": 1,
    "pixel_tiles": 1,
    "tile_pixels": 8,
    "last_pixels": 8,
    "slices": 3,
    "passes": 2,
    "split": 1,
}
BAD_FIELDS = [
    *({name: 0} for name in GOOD if name not in ("layer", "in_pitch", "column_stride", "split")),
    {"tile_pixels": 9},
    {"last_pixels": 9},
    {"passes": 1},
    {"passes": 3},
    {"slices": 5},
    {"neighbours": 2},
]


@pytest.fixture(scope="module")
def bench_of_4():
    return Bench(config(4))


def run_fields(bench, fields):
    codes = [Instruction(Opcode.CONV, {**GOOD, **given}).encode() for given in fields]
    return bench.run(codes)


def test_the_good_instruction_is_good(bench_of_4):
    run = run_fields(bench_of_4, [{}])
    assert run.fault is None and len(run.pixels) == 16


@pytest.mark.parametrize("given", BAD_FIELDS, ids=str)
def test_bad_fields_are_a_fault(bench_of_4, given):
    run = run_fields(bench_of_4, [given])
    assert run.fault == (Fault.BAD_FIELD, 77)
    assert not run.requests


def test_an_instruction_may_come_when_it_likes(bench_of_4):
    """The first pixel of one is 8 cycles behind its offer, however long that was waited for."""
    code = Instruction(Opcode.CONV, GOOD).encode()
    run = bench_of_4.run([code])
    assert run.cycles[0] == 8
    run = bench_of_4.run([code] * 3, offers=0.05, seed=1)
    assert len(run.pixels) == 48


@pytest.mark.parametrize("pixels", [1, 2, 3, 4, 5])
def test_an_accumulator_is_not_met_again_too_soon(bench_of_4, pixels):
    """However short the passes are, and whenever their pixels enter."""
    fields = {**GOOD, "tile_pixels": pixels, "last_pixels": pixels, "slices": 8, "passes": 4}
    code = Instruction(Opcode.CONV, fields).encode()
    for entries in (1.0, 0.5):
        run = bench_of_4.run([code], entries=entries, seed=pixels)
        met = np.array(run.cycles).reshape(4, pixels)
        assert np.diff(met, axis=0).min() >= ACCUMULATION_LATENCY
        if entries == 1:
            assert np.diff(met[:, 0]).tolist() == [max(pixels, ACCUMULATION_LATENCY)] * 3


@pytest.mark.parametrize("split", [3, 7, 15])
def test_a_split_of_more_modules_than_there_are_is_a_fault(bench_of_4, split):
    run = run_fields(bench_of_4, [{}, {"split": split, "passes": 1}])
    assert run.fault == (Fault.BAD_SPLIT, 77)
    assert len(run.requests) == 16
