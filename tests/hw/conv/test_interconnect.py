import numpy as np
import pytest
from amaranth.hdl import Module, Mux, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from hw.config import DnaConfig
from hw.conv.interconnect import Interconnect, banks_layout, sums_layout
from tests.hw.support.streams import StreamBench, from_bits

ROWS = 4
LIMIT = ROWS * 128 * 128  # of what a module gives


def config(modules, columns=ROWS):
    return DnaConfig(
        name="test",
        modules=modules,
        rows=columns,
        columns=columns,
        lanes=columns,
        accumulation_depth=4,
        dram_bytes_per_cycle=8,
        feature_words=64,
        weight_fifo_words=4,
    )


class OpenBanks(wiring.Component):
    """The interconnect without what banks see that it is not open to: that means nothing."""

    def __init__(self, config):
        self.config = config
        super().__init__(
            {
                "sums": In(stream.Signature(sums_layout(config), always_ready=True)),
                "banks": Out(stream.Signature(banks_layout(config), always_ready=True)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.interconnect = inner = Interconnect(self.config)
        wiring.connect(m, wiring.flipped(self.sums), inner.sums)
        seen, shown = inner.banks.payload, self.banks.payload
        m.d.comb += [
            self.banks.valid.eq(inner.banks.valid),
            shown.first.eq(seen.first),
            shown.last.eq(seen.last),
            shown.final.eq(seen.final),
            shown.split.eq(seen.split),
        ]
        for bank in range(self.config.modules):
            is_open = bank < (self.config.modules >> seen.split)
            for target, value in zip(shown.data[bank], seen.data[bank], strict=True):
                m.d.comb += target.eq(Mux(is_open, value, 0))
        return m


@pytest.fixture(scope="module", params=[2, 4, 8])
def bench(request):
    bench = StreamBench(OpenBanks(config(request.param)))
    bench.modules = request.param
    return bench


def random_pixels(rng, modules, splits):
    return [
        {
            "data": rng.integers(-LIMIT, LIMIT, (modules, ROWS)).tolist(),
            "first": int(rng.integers(2)),
            "last": int(rng.integers(2)),
            "final": int(rng.integers(2)),
            "split": int(split),
        }
        for split in splits
    ]


def run(bench, pixels, **options):
    """Send pixels and check what the banks get: module m reaches bank m div k and no other."""
    seen = bench.run(send={"sums": pixels}, receive={"banks": len(pixels)}, **options)
    for pixel, result in zip(pixels, seen["banks"].words, strict=True):
        k = 1 << pixel["split"]
        sums = np.array(pixel["data"]).reshape(-1, k, ROWS).sum(axis=1)
        assert result["data"][: bench.modules // k] == sums.tolist()
        assert all(result[flag] == pixel[flag] for flag in ("first", "last", "final", "split"))
    return seen


@pytest.mark.parametrize("seed", range(4))
def test_random_splits_go_through_in_order_at_any_pace(bench, seed):
    rng = np.random.default_rng(seed)
    splits = rng.integers(0, bench.modules.bit_length(), 60)
    if seed % 2:
        splits = np.repeat(splits, rng.integers(1, 5, len(splits)))
    pace = {"sums": [1, 0.5][seed // 2]}
    seen = run(bench, random_pixels(rng, bench.modules, splits), pace=pace, seed=seed)
    # Whatever the split, log2 G cycles.
    latency = bench.modules.bit_length() - 1
    assert seen["banks"].cycles == [cycle + latency for cycle in seen["sums"].cycles]


def test_the_largest_sums_are_exact(bench):
    top = bench.modules.bit_length() - 1
    for value in (-LIMIT, LIMIT):
        pixel = random_pixels(np.random.default_rng(0), bench.modules, [top])[0]
        pixel["data"] = [[value] * ROWS] * bench.modules
        run(bench, [pixel])


def test_one_module_needs_no_adders():
    dut = Interconnect(config(1, columns=8))
    (pixel,) = random_pixels(np.random.default_rng(0), 1, [0])
    pixel["data"] = [pixel["data"][0] * 2]
    checks = 0

    async def testbench(ctx):
        nonlocal checks
        for valid in (0, 1):
            ctx.set(dut.sums.payload, pixel)
            ctx.set(dut.sums.valid, valid)
            bits = ctx.get(Value.cast(dut.banks.payload))
            assert from_bits(dut.banks.payload.shape(), bits) == pixel
            assert ctx.get(dut.banks.valid) == valid
            checks += 1

    simulator = Simulator(dut)
    simulator.add_testbench(testbench)
    simulator.run()
    assert checks == 2
