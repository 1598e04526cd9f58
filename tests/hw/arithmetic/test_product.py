import random

from amaranth.sim import Simulator

from hw.arithmetic.product import FACTOR_BITS, SignificandProduct

MOST = (1 << FACTOR_BITS) - 1
CORNERS = [0, 1, 0xFFF, 0x1000, 0x800000, 0xFFF000, 0x800001, MOST]


def test_products_and_their_low_bits_a_cycle_before():
    draw = random.Random(0)
    pairs = [(a, b) for a in CORNERS for b in CORNERS]
    pairs += [(draw.randint(0, MOST), draw.randint(0, MOST)) for _ in range(300)]
    dut, products, lows = SignificandProduct(), [], []

    async def testbench(ctx):
        for cycle in range(len(pairs) + dut.LATENCY):
            if cycle < len(pairs):
                ctx.set(dut.a, pairs[cycle][0])
                ctx.set(dut.b, pairs[cycle][1])
            products.append(ctx.get(dut.o))
            lows.append(ctx.get(dut.low))
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    wanted = [a * b for a, b in pairs]
    assert products[dut.LATENCY :] == wanted
    mask = (1 << dut.LOW_BITS) - 1
    assert lows[dut.LATENCY - 1 : -1] == [product & mask for product in wanted]
