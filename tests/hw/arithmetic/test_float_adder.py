import math
import struct

import numpy as np
import pytest
from amaranth.sim import Simulator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hw.arithmetic.float_adder import FloatAdder

F32 = np.float32
NORMAL = st.floats(
    min_value=2.0**-126, max_value=float(F32(2.0**120)), width=32, allow_subnormal=False
)
FLOATS = st.one_of(NORMAL, NORMAL.map(lambda value: -value), st.just(0.0))


def parts(value):
    """(significand, exponent, negative) of a float32 that is normal or zero."""
    bits = struct.unpack("<I", struct.pack("<f", value))[0]
    exponent, fraction = bits >> 23 & 0xFF, bits & 0x7FFFFF
    assert exponent or not fraction
    return (fraction | (1 << 23 if exponent else 0)), exponent - 127, bits >> 31


class Bench:
    def __init__(self):
        self.dut = FloatAdder()
        self.used = False
        self.simulator = Simulator(self.dut)
        self.simulator.add_clock(1e-6)
        self.simulator.add_testbench(self.testbench)

    def run(self, pairs):
        self.pairs, self.sums = pairs, []
        if self.used:
            self.simulator.reset()
        self.used = True
        self.simulator.run()
        return self.sums

    async def testbench(self, ctx):
        dut = self.dut
        for cycle in range(len(self.pairs) + FloatAdder.LATENCY):
            if cycle < len(self.pairs):
                for port, value in zip((dut.a, dut.b), self.pairs[cycle], strict=True):
                    significand, exponent, negative = parts(value)
                    ctx.set(port.significand, significand)
                    ctx.set(port.exponent, exponent)
                    ctx.set(port.negative, negative)
            if cycle >= FloatAdder.LATENCY:
                significand, exponent = ctx.get(dut.o.significand), ctx.get(dut.o.exponent)
                assert significand == 0 or significand >> 23 == 1
                sign = -1 if ctx.get(dut.o.negative) else 1
                self.sums.append(sign * math.ldexp(significand, exponent - 23))
            await ctx.tick()


@pytest.fixture(scope="module")
def bench():
    return Bench()


def check(bench, pairs):
    sums = bench.run(pairs)
    assert len(sums) == len(pairs)
    for (a, b), total in zip(pairs, sums, strict=True):
        assert total == float(F32(a) + F32(b)), (a.hex(), b.hex())


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(pairs=st.lists(st.tuples(FLOATS, FLOATS), min_size=1, max_size=60))
def test_any_two(bench, pairs):
    check(bench, pairs)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    cases=st.lists(
        st.tuples(
            st.integers(1 << 23, (1 << 24) - 1),
            st.integers(1 << 23, (1 << 24) - 1),
            st.integers(-30, 30),
            st.sampled_from([-1, 1]),
            st.sampled_from([-1, 1]),
        ),
        min_size=20,
        max_size=60,
    )
)
def test_exponents_that_are_close(bench, cases):
    check(bench, [(s * float(a), t * math.ldexp(b, e)) for a, b, e, s, t in cases])


def test_ties_cancellation_and_zeros(bench):
    one, ulp = float(1 << 23), 1.0
    pairs = [
        (one, ulp / 2),  # tie to even: down
        (one + ulp, ulp / 2),  # tie to even: up
        (one, -ulp / 4),  # a tie just below a power of two
        (one, -ulp * 3 / 4),
        (one, math.ldexp(1, -40)),
        (one, -math.ldexp(1, -40)),  # sticky alone borrows
        (one, -math.ldexp(1, -4)),
        (2 * one - ulp, ulp / 2),  # rounds up to the next power of two
        (2 * one - ulp, 2 * one - ulp),
        (one, -one),
        (one + ulp, -one),
        (0.0, 0.0),
        (0.0, -one),
        (one, 0.0),
        (math.ldexp(1.5, -126), -math.ldexp(1, -126)),  # subnormal in IEEE 754, and exact
        (math.ldexp(1 + 2**-23, -126), -math.ldexp(1, -126)),
    ]
    check(bench, pairs + [(b, a) for a, b in pairs] + [(-a, -b) for a, b in pairs])
