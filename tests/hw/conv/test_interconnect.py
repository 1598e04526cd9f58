import numpy as np
import pytest
from amaranth.hdl import Module, Mux
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import DnaConfig
from hw.conv.interconnect import Interconnect, banks_layout, sums_layout
from tests.hw.support.streams import StreamBench

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
                "sums": In(stream.Signature(sums_layout(config))),
                "banks": Out(stream.Signature(banks_layout(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.interconnect = inner = Interconnect(self.config)
        wiring.connect(m, wiring.flipped(self.sums), inner.sums)
        seen, shown = inner.banks.payload, self.banks.payload
        m.d.comb += [
            self.banks.valid.eq(inner.banks.valid),
            inner.banks.ready.eq(self.banks.ready),
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
def test_random_splits_at_random_paces(bench, seed):
    rng = np.random.default_rng(seed)
    splits = rng.integers(0, bench.modules.bit_length(), 60)
    if seed % 2:
        splits = np.repeat(splits, rng.integers(1, 5, len(splits)))
    pace = {"sums": [1, 0.5][seed // 2], "banks": [0.7, 0.4][seed // 2]}
    run(bench, random_pixels(rng, bench.modules, splits), pace=pace, seed=seed)


def test_a_pixel_a_cycle_after_log2_k_cycles(bench):
    for split in range(bench.modules.bit_length()):
        pixels = random_pixels(np.random.default_rng(split), bench.modules, [split] * 20)
        seen = run(bench, pixels)
        assert seen["sums"].cycles == list(range(20))
        assert seen["banks"].cycles == list(range(split, split + 20))


def test_another_split_waits_until_the_tree_is_empty(bench):
    top = bench.modules.bit_length() - 1
    pixels = random_pixels(np.random.default_rng(0), bench.modules, [0, 0, top, top, 0, 0])
    seen = run(bench, pixels)
    assert seen["banks"].cycles == [0, 1, 2 + top, 3 + top, 4 + top, 5 + top]


def test_the_largest_sums_are_exact(bench):
    top = bench.modules.bit_length() - 1
    for value in (-LIMIT, LIMIT):
        pixel = random_pixels(np.random.default_rng(0), bench.modules, [top])[0]
        pixel["data"] = [[value] * ROWS] * bench.modules
        run(bench, [pixel])


def test_one_module_needs_no_adders():
    pixels = random_pixels(np.random.default_rng(0), 1, [0] * 5)
    for pixel in pixels:
        pixel["data"] = [pixel["data"][0] * 2]
    seen = StreamBench(Interconnect(config(1, columns=8))).run(
        send={"sums": pixels}, receive={"banks": 5}
    )
    assert seen["banks"].words == pixels
