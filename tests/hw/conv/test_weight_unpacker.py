import numpy as np
import pytest
from amaranth.hdl import Module, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import DnaConfig
from hw.conv.weight_unpacker import WeightUnpacker, parameter_row_layout
from hw.status import Fault
from tests.hw.support.layers import Layer
from tests.hw.support.streams import StreamBench

INSTRUCTION = data.ArrayLayout(unsigned(512), 1)


def config(modules=4, rows=4):
    return DnaConfig(
        name="test",
        modules=modules,
        rows=rows,
        columns=rows,
        lanes=rows,
        accumulation_depth=8,
        dram_bytes_per_cycle=8,
        feature_words=256,
        weight_fifo_words=4,
    )


class Dut(wiring.Component):
    """The unpacker with payloads that the bench can write; its fault is one word of a stream."""

    def __init__(self, config):
        self.unpacker = WeightUnpacker(config)
        row = self.unpacker.weights.payload.shape()
        super().__init__(
            {
                "instructions": In(stream.Signature(INSTRUCTION)),
                "words": In(stream.Signature(data.ArrayLayout(unsigned(64), 1))),
                "parameters": Out(stream.Signature(parameter_row_layout(config))),
                "weights": Out(stream.Signature(row)),
                "faults": Out(stream.Signature(data.StructLayout({"code": 8, "address": 32}))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.unpacker = unpacker = self.unpacker
        for name in ("instructions", "words"):
            outer, inner = getattr(self, name), getattr(unpacker, name)
            m.d.comb += [
                Value.cast(inner.payload).eq(Value.cast(outer.payload)),
                inner.valid.eq(outer.valid),
                outer.ready.eq(inner.ready),
            ]
        for name in ("parameters", "weights"):
            wiring.connect(m, getattr(unpacker, name), wiring.flipped(getattr(self, name)))
        reported = Signal()
        with m.If(self.faults.valid & self.faults.ready):
            m.d.sync += reported.eq(1)
        m.d.comb += [
            self.faults.valid.eq(unpacker.fault.valid & ~reported),
            self.faults.payload.code.eq(unpacker.fault.code),
            self.faults.payload.address.eq(unpacker.fault.address),
        ]
        return m


def bench_of(config):
    bench = StreamBench(Dut(config))
    bench.config = config
    return bench


@pytest.fixture(scope="module", params=[(4, 4), (2, 4), (8, 4)])
def bench(request):
    return bench_of(config(*request.param))


def codes(layers):
    return [[int.from_bytes(layer.instruction.encode(), "little")] for layer in layers]


def words(content):
    return [[int.from_bytes(content[i : i + 8], "little")] for i in range(0, len(content), 8)]


def rows_of(layers):
    """(parameter rows, weight rows), cut from the streams by their description."""
    parameters, weights = [], []
    for layer in layers:
        size = layer.config.modules * layer.config.columns
        rows = [layer.stream[i : i + size] for i in range(0, len(layer.stream), size)][1:]
        table = layer.table_rows
        parameters += [
            {
                "row": int.from_bytes(row.tobytes(), "little"),
                "last": int(i == len(table) - 1),
                "table": 1,
            }
            for i, row in enumerate(table)
        ]
        rows = rows[len(table) :]
        count = max(1, 8 >> layer.split)
        for _ in range(layer.channel_tiles * layer.pixel_tiles):
            parameters += [
                {"row": int.from_bytes(row, "little"), "last": int(i == count - 1), "table": 0}
                for i, row in enumerate(rows[:count])
            ]
            end = count + layer.passes * layer.config.rows
            shape = (layer.config.modules, layer.config.columns)
            weights += [
                np.frombuffer(row, np.int8).reshape(shape).tolist() for row in rows[count:end]
            ]
            rows = rows[end:]
        assert not rows
    return parameters, weights


def run(bench, layers, **options):
    parameters, weights = rows_of(layers)
    seen = bench.run(
        send={
            "instructions": codes(layers),
            "words": words(b"".join(layer.stream for layer in layers)),
        },
        receive={"parameters": len(parameters), "weights": len(weights)},
        **options,
    )
    assert seen["parameters"].words == parameters
    assert seen["weights"].words == weights
    return seen


@pytest.mark.parametrize("seed", range(4))
def test_every_row_goes_where_it_belongs(bench, seed):
    rng = np.random.default_rng(seed)
    layers = [
        Layer.random(
            bench.config,
            rng,
            height=3,
            width=3,
            in_channels=5,
            split=min(i, 1) if seed else 0,
            table=(i + seed) % 2 == 1,
        )
        for i in range(2)
    ]
    pace = {"words": [1, 0.7][seed % 2], "parameters": [0.6, 1][seed // 2], "weights": 0.5}
    run(bench, layers, pace=pace, seed=seed)


@pytest.mark.parametrize("split", range(4))
def test_parameter_rows_of_every_split(split):
    bench = bench_of(config(8))
    layer = Layer.random(bench.config, np.random.default_rng(split), split=split, out_channels=40)
    run(bench, [layer])


def test_a_row_per_so_many_dram_words(bench):
    layer = Layer.random(
        bench.config,
        np.random.default_rng(0),
        height=2,
        width=2,
        kernel_height=2,
        kernel_width=2,
        in_channels=4,
        out_channels=4,
        pads=(0, 0, 0, 0),
        split=0,
    )
    seen = run(bench, [layer])
    per_row = bench.config.modules * bench.config.columns // 8
    cycles = seen["parameters"].cycles + seen["weights"].cycles
    # Not in the cycle in which the instruction is taken, and judged in the one behind it, in which
    # no row is complete unless a row is a word.
    header_cycle = max(1, per_row - 1) + (per_row == 1)
    assert cycles == [header_cycle + per_row * (row + 1) for row in range(len(cycles))]


def test_rows_wait_for_those_before_them(bench):
    layer = Layer.random(bench.config, np.random.default_rng(1), tile_pixels=4, height=4, width=4)
    seen = run(bench, [layer], pace={"parameters": 0.05})
    first_tile = max(1, 8 >> layer.split)
    assert seen["weights"].cycles[0] > seen["parameters"].cycles[first_tile - 1]


def header(tag):
    return tag.to_bytes(2, "little") + (tag ^ 0xFFFF).to_bytes(2, "little")


@pytest.mark.parametrize("bit", [0, 15, 16, 31])
def test_a_flipped_bit_in_the_header_is_a_fault(bench, bit):
    layer = Layer.random(bench.config, np.random.default_rng(bit), tag=0x1234)
    stream = bytearray(layer.stream)
    assert stream.startswith(header(0x1234))
    stream[bit // 8] ^= 1 << bit % 8
    per_row = bench.config.modules * bench.config.columns // 8
    content = words(bytes(stream))
    send = {"instructions": codes([layer]), "words": content[:per_row]}
    seen = bench.run(send=send, receive={"faults": 1})
    assert seen["faults"].words == [{"code": Fault.WEIGHT_HEADER, "address": 0x1234}]
    with pytest.raises(AssertionError, match="stuck"):
        bench.run(send=send | {"words": content[: per_row + 8]}, receive={"faults": 1})
    taken = len(bench._traffic.transfers["words"].words)
    assert per_row <= taken < 2 * per_row  # part of the next row may be in the gatherer
