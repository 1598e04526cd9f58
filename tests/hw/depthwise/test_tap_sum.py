import random

from amaranth.sim import Simulator

from hw.config import DEPTHWISE_TAPS
from hw.depthwise.layouts import BLOCKS
from hw.depthwise.tap_sum import TapSum


def test_windows_of_any_number_of_blocks():
    """Against sums of integers, the largest among them."""
    dut, rng = TapSum(), random.Random(1)
    stream, sums = [], []
    for window in range(120):
        total = 0
        for block in range(rng.randint(1, BLOCKS) if window else BLOCKS):
            low, high = (-128, 128) if window else (-128, -127)
            taps = [
                (rng.randrange(low, high), rng.randrange(low, high)) for _ in range(DEPTHWISE_TAPS)
            ]
            total += sum(a * b for a, b in taps)
            stream.append((taps, block == 0))
            sums.append(total)

    async def bench(ctx):
        for cycle in range(len(stream) + dut.LATENCY):
            if cycle < len(stream):
                for index, (activation, weight) in enumerate(stream[cycle][0]):
                    ctx.set(dut.activations[index], activation)
                    ctx.set(dut.weights[index], weight)
            if 0 <= cycle - dut.LATENCY + 1 < len(stream):
                ctx.set(dut.first, stream[cycle - dut.LATENCY + 1][1])
            if cycle >= dut.LATENCY:
                assert ctx.get(dut.o) == sums[cycle - dut.LATENCY]
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert max(map(abs, sums)) == DEPTHWISE_TAPS * BLOCKS * 2**14
