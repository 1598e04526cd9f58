import dataclasses
import random

import numpy as np
import pytest

from hw.config import PRESETS, DnaConfig
from hw.isa import Instruction, Join, Opcode, TablePlace
from hw.microarchitecture import CHOICE_LATENCY
from hw.post.lookup import LookupTables
from hw.post.post_engine import PostEngine
from hw.post.requantize import RequantizerLane
from hw.post.residual import AdderLane
from hw.status import Activity, Fault
from sim.reference import add, look_up, multiply, requantize
from tests.hw.support.engines import (
    EngineBench,
    Feature,
    Pending,
    Source,
    always,
    never,
    paces,
    reads,
    writes,
)

CONFIGS = {
    "g2": dataclasses.replace(PRESETS["nano"], feature_words=1024),
    "g4u2": DnaConfig(
        name="g4u2",
        modules=4,
        rows=2,
        columns=2,
        lanes=4,
        accumulation_depth=16,
        dram_bytes_per_cycle=8,
        feature_words=1024,
        weight_fifo_words=16,
    ),
    "g1": DnaConfig(
        name="g1",
        modules=1,
        rows=8,
        columns=8,
        lanes=8,
        accumulation_depth=8,
        dram_bytes_per_cycle=8,
        feature_words=1024,
        weight_fifo_words=16,
    ),
    "g4u1": DnaConfig(
        name="g4u1",
        modules=4,
        rows=4,
        columns=4,
        lanes=4,
        accumulation_depth=16,
        dram_bytes_per_cycle=16,
        feature_words=1024,
        weight_fifo_words=16,
    ),
}
BENCHES = {}


def bench_of(name):
    if name not in BENCHES:
        BENCHES[name] = EngineBench(PostEngine(CONFIGS[name]))
    return BENCHES[name]


class Layer:
    """A random layer after its convolution: fields of POST, pixels, parameters, expected words."""

    def __init__(self, config, rng, feature, **overrides):
        self.config = config
        top = config.modules.bit_length() - 1
        self.split = overrides.get("split", int(rng.integers(0, top + 1)))
        self.group = config.modules >> self.split
        self.words = overrides.get("words", int(rng.integers(1, 3 * config.modules + 1)))
        self.height = overrides.get("height", int(rng.integers(1, 5)))
        self.width = overrides.get("width", int(rng.integers(1, 7)))
        self.residual = overrides.get("residual", bool(rng.integers(2)))
        self.join = overrides.get("join", Join(int(rng.integers(len(Join)))))
        if overrides.get("table") == TablePlace.BEHIND and self.join == Join.PRODUCT:
            self.join = Join.SUM
        self.multiplies = self.residual and self.join == Join.PRODUCT
        places = list(TablePlace)[: 3 if self.residual and not self.multiplies else 2]
        self.table = overrides.get("table", places[int(rng.integers(len(places)))])
        self.entries = rng.integers(-128, 128, 256).astype(np.int8)
        pixels = self.height * self.width
        self.tile = overrides.get(
            "tile", int(rng.integers(1, min(pixels, config.accumulation_depth) + 1))
        )
        self.tiles = -(-pixels // self.tile)
        self.channel_tiles = -(-self.words // self.group)
        channels = self.words * config.rows
        shape = (self.height, self.width, channels)
        self.acc = rng.integers(-(2**31), 2**31, shape).astype(np.int32)
        self.acc = (self.acc >> rng.integers(0, 28, shape)).astype(np.int32)
        self.bias = rng.integers(-(2**20), 2**20, channels).astype(np.int32)
        if self.multiplies:
            self.acc = rng.integers(-128, 128, shape).astype(np.int32)
            self.bias[:] = 0
        self.factor = np.float32(2.0 ** rng.uniform(-16, 0))
        self.scale = (2.0 ** rng.uniform(-24, 0, channels)).astype(np.float32)
        self.points = [int(value) for value in rng.integers(-128, 128, 4)]
        self.bounds = [sorted(int(v) for v in rng.integers(-128, 128, 2)) for _ in range(2)]
        self.multipliers = (int(rng.integers(1 << 20, 1 << 21)), int(rng.integers(1, 1 << 21)))
        self.shift = int(rng.integers(18, 23))
        if self.residual and self.join in (Join.MAXIMUM, Join.MINIMUM):
            self.multipliers = (self.multipliers[0],) * 2
            self.points[3] = self.points[1] = 0
        row = self.width * self.words
        self.pitch = row + int(rng.integers(0, 3))
        self.base = int(rng.integers(0, 100))
        # The sum may replace the other operand.
        in_place = bool(rng.integers(2))
        self.res_pitch = self.pitch if in_place else row + int(rng.integers(0, 3))
        self.res_base = self.base if in_place else 500 + int(rng.integers(0, 9))
        self.res_width = self.width
        if overrides.get("broadcast", rng.integers(4) == 0):  # a row of fewer pixels for all
            self.res_pitch, self.res_base = 0, 500
            self.res_width = int(rng.choice([1, self.width]))
        self.expected = self._expected(feature)

    def _addresses(self, base, pitch, width=None):
        pixels, w = np.ogrid[: self.height * self.width, : self.words]
        y, x = np.divmod(pixels, width or self.width)
        addresses = base + y * pitch + x * self.words + w
        return addresses.reshape(self.height, self.width, self.words)

    @property
    def targets(self):
        return self._addresses(self.base, self.pitch)

    def _expected(self, feature):
        wrapped = (self.acc.astype(np.int64) + self.bias).astype(np.int32)
        other = feature.words[self._addresses(self.res_base, self.res_pitch, self.res_width)]
        other = other.reshape(self.acc.shape)
        points = {"zero_point_a": self.points[3], "zero_point_b": self.points[1]}
        bounds = [{"lo": lo, "hi": hi} for lo, hi in self.bounds]
        if self.multiplies:
            scaled = {"multiplier": float(self.factor), "zero_point": self.points[0]}
            out = multiply(self.acc.astype(np.int8), other, **points, **scaled, **bounds[0])
        else:
            out = requantize(wrapped, self.scale, self.points[0], *self.bounds[0])
        if self.table == TablePlace.FRONT:
            out = look_up(out, self.entries)
        if self.residual and not self.multiplies:
            out = self._joined(out, other, {**points, **bounds[1], "zero_point": self.points[2]})
        if self.table == TablePlace.BEHIND:
            out = look_up(out, self.entries)
        return out.reshape(*self.targets.shape, self.config.rows)

    def _joined(self, out, other, numbers):
        if self.join in (Join.MAXIMUM, Join.MINIMUM):
            choose = np.maximum if self.join == Join.MAXIMUM else np.minimum
            out = other = choose(out, other)
            factors = (self.multipliers[0], 0)
            numbers |= {"zero_point_a": 0}
        else:
            signs = {Join.DIFFERENCE: (1, -1), Join.REVERSED: (-1, 1)}.get(self.join, (1, 1))
            factors = tuple(np.multiply(signs, self.multipliers).tolist())
        return add(out, other, multipliers=factors, shift=self.shift, **numbers)

    @property
    def instruction(self):
        pixels = self.height * self.width
        fields = {
            "layer": 77,
            "out_width": self.width,
            "channel_tiles": self.channel_tiles,
            "pixel_tiles": self.tiles,
            "tile_pixels": self.tile,
            "last_pixels": pixels - (self.tiles - 1) * self.tile,
            "split": self.split,
            "out_base": self.base,
            "out_pitch": self.pitch,
            "out_words": self.words,
            "zero_point": self.points[0],
            "lo": self.bounds[0][0],
            "hi": self.bounds[0][1],
            "residual": int(self.residual),
            "res_base": self.res_base,
            "res_pitch": self.res_pitch,
            "res_width": self.res_width,
            "join": self.join,
            "scale": int(self.factor.view(np.uint32)),
            "multiplier": self.multipliers[0],
            "res_multiplier": self.multipliers[1],
            "shift": self.shift,
            "term_zero_point": self.points[3],
            "res_zero_point": self.points[1],
            "sum_zero_point": self.points[2],
            "sum_lo": self.bounds[1][0],
            "sum_hi": self.bounds[1][1],
            "table": self.table,
        }
        return Instruction(Opcode.POST, fields)

    def feed(self, rows, banks):
        """Append what the weight stream and the accumulation banks give for this layer."""
        config, columns = self.config, self.config.columns
        pixels = self.acc.reshape(self.height * self.width, -1, columns)
        padded = np.zeros((len(pixels), self.channel_tiles * self.group, columns), np.int32)
        padded[:, : pixels.shape[1]] = pixels
        padded[:, pixels.shape[1] :] = 0x55AA  # of no channel: to be thrown away
        channels = self.channel_tiles * self.group * columns
        parameters = np.zeros((channels, 2), np.uint32)
        parameters[: len(self.bias), 0] = self.bias.view(np.uint32)
        parameters[: len(self.bias), 1] = self.scale.view(np.uint32)
        if self.table:
            size = config.modules * columns
            content = self.entries.tobytes()
            for start in range(0, len(content), size):
                row = int.from_bytes(content[start : start + size], "little")
                rows.append(row | (start + size >= len(content)) << 8 * size | 2 << 8 * size)
        for tile in range(self.channel_tiles):
            part = parameters[tile * self.group * columns :][: self.group * columns]
            for first in range(0, len(pixels), self.tile):
                stream = part.tobytes()
                size = config.modules * columns
                assert len(stream) == size * max(1, 8 >> self.split)
                for start in range(0, len(stream), size):
                    last = start + size == len(stream)
                    row = int.from_bytes(stream[start : start + size], "little")
                    rows.append(row | last << 8 * size)
                for pixel in padded[first : first + self.tile]:
                    for bank in range(self.group):
                        word = pixel[tile * self.group + bank]
                        banks[bank].append(int.from_bytes(word.tobytes(), "little"))


def run(name, seed, pace, count=1, latency=3, **overrides):
    """Run ``count`` random layers and compare the whole feature memory."""
    rng = np.random.default_rng(seed)
    config, bench = CONFIGS[name], bench_of(name)
    feature = Feature(config, rng)
    simulated = Feature(config, rng)
    simulated.words[:] = feature.words
    rows, banks, layers = [], [[] for _ in range(config.modules)], []
    counts = np.zeros(config.feature_words, int)
    for _ in range(count):
        layer = Layer(config, rng, feature, **overrides)
        feature.words[layer.targets] = layer.expected
        np.add.at(counts, layer.targets, 1)
        layer.feed(rows, banks)
        layers.append(layer)
    dut = bench.dut
    parameters = Source(dut.parameters, pace(), rows)
    sources = [Source(dut.pixels[index], pace(), words) for index, words in enumerate(banks)]
    port = writes(dut.results, simulated, pace())
    result = bench.run(
        [layer.instruction for layer in layers],
        [
            parameters,
            *sources,
            *reads(dut.residual, simulated, pace(), latency),
            *port,
        ],
        chance=pace(),
    )
    assert result.fault is None and len(result.done) == count
    np.testing.assert_array_equal(simulated.words, feature.words)
    np.testing.assert_array_equal(simulated.written, counts)
    assert not parameters.words and not any(source.words for source in sources)
    assert result.done[-1] == port[0].cycles[-1] + Pending.AFTER + 1
    return result, layers, port[0].cycles


def models(dut, feature, layer, stopped=None):
    """Models of all ports that feed one layer; that of ``stopped`` does nothing."""
    rows, banks = [], [[] for _ in dut.pixels]
    layer.feed(rows, banks)
    paces = dict.fromkeys(("parameters", "pixels", "residual", "results"), always)
    if stopped:
        paces[stopped] = never
    return [
        Source(dut.parameters, paces["parameters"], rows),
        *(Source(dut.pixels[i], paces["pixels"], words) for i, words in enumerate(banks)),
        *reads(dut.residual, feature, paces["residual"]),
        *writes(dut.results, feature, paces["results"]),
    ]


def steady():
    return always


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize(
    ("residual", "table"),
    [(False, 0), (True, 0), (False, TablePlace.FRONT), (True, TablePlace.BEHIND)],
)
def test_random_layers_without_stalls(name, residual, table):
    for seed in range(4):
        run(name, seed, steady, residual=residual, table=table)


@pytest.mark.parametrize("broadcast", [False, True])
@pytest.mark.parametrize("join", Join)
def test_every_way_to_join(join, broadcast):
    for seed, name in enumerate(CONFIGS):
        run(name, 30 + seed, steady, residual=True, join=join, broadcast=broadcast)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("seed", range(5))
def test_random_layers_with_random_stalls(name, seed):
    run(name, 100 + seed, paces(random.Random(seed)), count=3)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("name", CONFIGS)
def test_one_step_per_cycle(name, residual):
    config = CONFIGS[name]
    shape = {"words": config.modules, "height": 2, "width": 4, "tile": 8}
    options = {"residual": residual, "join": Join.SUM, "table": 0, "split": 0, **shape}
    result, _, cycles = run(name, 5, steady, **options)
    steps = 8 * config.modules // config.post_words
    # To choose the accumulators, and the queue in front of the write port.
    latency = CHOICE_LATENCY + RequantizerLane.LATENCY + AdderLane.LATENCY * residual + 1
    # Eight rows of parameters, then the pipelines.
    first = 8 + latency
    assert cycles == list(range(first, first + steps))
    idle = result.activity[Activity.IDLE]
    assert result.activity[Activity.BUSY] + result.activity[Activity.WAIT_WEIGHTS] == (
        result.cycles - idle
    )


@pytest.mark.parametrize("name", CONFIGS)
def test_a_table_is_written_word_by_word_and_costs_its_latency(name):
    config = CONFIGS[name]
    shape = {"words": config.modules, "height": 2, "width": 4, "tile": 8, "split": 0}
    _, _, plain = run(name, 5, steady, residual=False, table=0, **shape)
    _, _, cycles = run(name, 5, steady, residual=False, table=TablePlace.FRONT, **shape)
    wide = config.modules * config.columns
    # A row, its words of 8 bytes, and the next one; then the last one's words meet the parameters'.
    rows = 256 // wide * (wide // 8 + 1)
    assert cycles[0] == plain[0] + rows - wide // 8 + LookupTables.LATENCY
    assert cycles == list(range(cycles[0], cycles[0] + len(plain)))


def test_the_next_tables_wait_for_their_turn():
    shape = {"words": 2, "height": 1, "width": 2, "tile": 2}
    run("g4u1", 9, paces(random.Random(2)), count=6, table=TablePlace.FRONT, **shape)


def test_tiles_follow_each_other_without_a_gap():
    # A tile of 16 pixels takes 32 cycles: long enough to load 8 rows of parameters meanwhile.
    shape = {"words": 4, "height": 8, "width": 8, "tile": 16}
    _, _, cycles = run("g2", 5, steady, split=0, residual=True, table=0, **shape)
    assert cycles == list(range(cycles[0], cycles[0] + 64 * 4))


@pytest.mark.parametrize(
    ("stopped", "activity"),
    [
        ("parameters", Activity.WAIT_WEIGHTS),
        ("pixels", Activity.WAIT_ACCUMULATION),
        ("residual", Activity.WAIT_FEATURE),
        ("results", Activity.WAIT_FEATURE),
    ],
)
def test_activity_names_what_is_waited_for(stopped, activity):
    config, bench = CONFIGS["g2"], bench_of("g2")
    feature = Feature(config, np.random.default_rng(0))
    options = {"residual": True, "split": 0, "words": 4, "table": 0}
    layer = Layer(config, np.random.default_rng(1), feature, **options)
    result = bench.run([layer.instruction], models(bench.dut, feature, layer, stopped), cycles=200)
    assert not result.done
    assert result.activity[activity] > 150
    assert sum(result.activity.values()) == 200


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"split": 2}, Fault.BAD_SPLIT),
        ({"split": 15}, Fault.BAD_SPLIT),
        ({"out_width": 0}, Fault.BAD_FIELD),
        ({"out_words": 0}, Fault.BAD_FIELD),
        ({"channel_tiles": 0}, Fault.BAD_FIELD),
        ({"channel_tiles": 9000}, Fault.BAD_FIELD),
        ({"pixel_tiles": 0}, Fault.BAD_FIELD),
        ({"tile_pixels": 0}, Fault.BAD_FIELD),
        ({"tile_pixels": 17}, Fault.BAD_FIELD),
        ({"last_pixels": 0}, Fault.BAD_FIELD),
        ({"tile_pixels": 2, "last_pixels": 3}, Fault.BAD_FIELD),
        ({"out_base": 1024}, Fault.BAD_FIELD),
        ({"res_base": 1024}, Fault.BAD_FIELD),
        ({"shift": 12}, Fault.BAD_FIELD),
        ({"shift": 31}, Fault.BAD_FIELD),
        ({"table": 3}, Fault.BAD_FIELD),
        ({"table": 2, "residual": 0}, Fault.BAD_FIELD),
        ({"table": 2, "join": Join.PRODUCT}, Fault.BAD_FIELD),
        ({"join": 6}, Fault.BAD_FIELD),
        ({"res_width": 0}, Fault.BAD_FIELD),
    ],
)
def test_faults(changes, fault):
    config = CONFIGS["g2"]
    feature = Feature(config, np.random.default_rng(0))
    layer = Layer(config, np.random.default_rng(1), feature, residual=True)
    instruction = Instruction(Opcode.POST, {**layer.instruction.fields, **changes})
    bench = bench_of("g2")
    result = bench.run([instruction], models(bench.dut, feature, layer))
    assert result.fault == (fault, 77)
    assert not feature.written.any() and not result.done
