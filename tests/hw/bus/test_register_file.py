import random

import pytest
from amaranth.sim import Simulator

from hw.bus.axi_codes import Response
from hw.bus.register_fields import Access, Field, Register
from hw.bus.register_file import RegisterFile
from tests.hw.bus.test_csr import read_at, write_at

REGISTERS = (
    Register("word", 0, (Field("value", Access.RW, "", 32, 0xABCD),)),
    Register("seen", 4, (Field("low", Access.R, "", 3), Field("high", Access.R, "", 20))),
    Register("orders", 12, (Field("a", Access.W, "", 2), Field("b", Access.W, ""))),
    Register("events", 20, (Field("a", Access.RW1C, "", 2), Field("b", Access.RW1C, "", 1, 1))),
    Register("locked", 16, (Field("w", Access.W, "", 2, 0, True), Field("rw", Access.RW, "", 4))),
    Register("mixed", 24, (Field("r", Access.R, "", 8), Field("rw", Access.RW, "", 8, 7))),
)


def simulate(bench):
    dut = RegisterFile(REGISTERS, address_bits=5)
    finished = []

    async def wrapped(ctx):
        await bench(ctx, dut)
        finished.append(True)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(wrapped)
    simulator.run()
    assert finished, "nothing was checked"


def test_every_register_begins_with_its_reset_values():
    async def bench(ctx, dut):
        for register in REGISTERS:
            expected = sum(f.reset << register.shift(f.name) for f in register.fields)
            assert await read_at(ctx, dut.bus, register.offset) == expected

    simulate(bench)


def test_each_access_does_what_it_says():
    async def bench(ctx, dut):
        fields, draw = dut.fields, random.Random(0)
        ctx.set(fields.seen.low, 5)
        ctx.set(fields.seen.high, 0xFEDC)
        ctx.set(fields.mixed.r, 0x77)
        pending = [0, 1]
        for _ in range(40):
            value = draw.getrandbits(32)
            strobe = draw.choice([15, 15, 15, 7, 0])
            for register in REGISTERS:
                okay = strobe == 15 and register.writable
                response = Response.OKAY if okay else Response.SLVERR
                await write_at(ctx, dut.bus, register.offset, value, strobe, response)
            if strobe == 15:
                word, byte = value, value >> 8 & 0xFF
                pending = [pending[0] & ~value & 3, pending[1] & ~value >> 2 & 1]
                assert ctx.get(fields.word.value) == word
                assert ctx.get(fields.mixed.rw) == byte
            assert await read_at(ctx, dut.bus, 4) == 5 | 0xFEDC << 3
            assert await read_at(ctx, dut.bus, 12) == 0
            assert await read_at(ctx, dut.bus, 20) == pending[0] | pending[1] << 2
            assert await read_at(ctx, dut.bus, 24) & 0xFF == 0x77
            sets = draw.getrandbits(2), draw.getrandbits(1)
            ctx.set(fields.events.a.set, sets[0])
            ctx.set(fields.events.b.set, sets[1])
            await ctx.tick()
            ctx.set(fields.events.a.set, 0)
            ctx.set(fields.events.b.set, 0)
            pending = [pending[0] | sets[0], pending[1] | sets[1]]
            assert ctx.get(fields.events.a.pending) == pending[0]
        ctx.set(dut.clear, 1)
        await ctx.tick()
        assert ctx.get(fields.events.a.pending) == 0
        assert ctx.get(fields.events.b.pending) == 1

    simulate(bench)


def test_an_order_lasts_for_a_cycle_and_a_set_bit_wins_over_its_clear():
    async def bench(ctx, dut):
        bus, fields = dut.bus, dut.fields
        ctx.set(bus.b.ready, 1)
        ctx.set(bus.w.payload.strb, 15)
        orders = []
        for address, data in ((12, 0b101), (20, 0b111)):
            ctx.set(bus.aw.payload.addr, address)
            ctx.set(bus.w.payload.data, data)
            ctx.set(bus.aw.valid, 1)
            ctx.set(bus.w.valid, 1)
            ctx.set(fields.events.a.set, 2)
            await ctx.tick()
            ctx.set(bus.aw.valid, 0)
            ctx.set(bus.w.valid, 0)
            for _ in range(4):
                orders.append((ctx.get(fields.orders.a), ctx.get(fields.orders.b)))
                await ctx.tick()
        assert orders == [(1, 1), *[(0, 0)] * 7]
        assert ctx.get(fields.events.a.pending) == 2
        assert ctx.get(fields.events.b.pending) == 0

    simulate(bench)


def test_what_is_not_there_or_locked_is_refused():
    async def bench(ctx, dut):
        bus, fields = dut.bus, dut.fields
        for offset in (8, 28):
            await write_at(ctx, bus, offset, 3, response=Response.DECERR)
            assert await read_at(ctx, bus, offset, response=Response.DECERR) == 0
        await write_at(ctx, bus, 4, 3, response=Response.SLVERR)
        ctx.set(dut.locked, 1)
        await write_at(ctx, bus, 16, 0b1101, response=Response.SLVERR)
        assert ctx.get(fields.locked.rw) == 0b11, "only what is locked is kept"
        await write_at(ctx, bus, 16, 0b1000)
        assert ctx.get(fields.locked.rw) == 0b10
        ctx.set(dut.locked, 0)
        await write_at(ctx, bus, 16, 0b1101)

    simulate(bench)


def test_no_answer_depends_on_an_input_of_the_same_cycle():
    async def bench(ctx, dut):
        bus = dut.bus
        outputs = [bus.aw.ready, bus.w.ready, bus.b.valid, bus.ar.ready, bus.r.valid]
        draw = random.Random(1)
        for _ in range(300):
            before = [ctx.get(signal) for signal in outputs]
            for signal in (bus.aw.valid, bus.w.valid, bus.b.ready, bus.ar.valid, bus.r.ready):
                ctx.set(signal, draw.getrandbits(1))
                assert [ctx.get(signal) for signal in outputs] == before
            await ctx.tick()

    simulate(bench)


@pytest.mark.parametrize(
    ("registers", "message"),
    [
        (
            (REGISTERS[0], Register("word", 4, REGISTERS[0].fields)),
            "two registers have name 'word'",
        ),
        ((REGISTERS[0], Register("more", 0, REGISTERS[0].fields)), "two registers have offset 0"),
        ((Register("far", 32, REGISTERS[0].fields),), "far: offset must be below 32, not 32"),
    ],
)
def test_a_map_that_is_none_is_refused(registers, message):
    with pytest.raises(ValueError, match=message):
        RegisterFile(registers, address_bits=5)
