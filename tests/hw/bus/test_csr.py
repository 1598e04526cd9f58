import re

import pytest
from amaranth.sim import Simulator

from hw import isa
from hw.bus import registers
from hw.bus.axi_codes import Response
from hw.bus.csr import ControlRegisters
from hw.config import PRESETS
from hw.isa import Engine
from hw.status import Activity, Fault

NANO = PRESETS["nano"]


async def write(ctx, bus, name, value, strobe=15, response=Response.OKAY):
    await write_at(ctx, bus, registers.BY_NAME[name].offset, value, strobe, response)


async def write_at(ctx, bus, offset, value, strobe=15, response=Response.OKAY):
    ctx.set(bus.aw.payload.addr, offset)
    ctx.set(bus.w.payload.data, value)
    ctx.set(bus.w.payload.strb, strobe)
    ctx.set(bus.aw.valid, 1)
    await ctx.tick().until(bus.aw.ready)
    ctx.set(bus.aw.valid, 0)
    await ctx.tick()  # the data may come later than the address
    ctx.set(bus.w.valid, 1)
    await ctx.tick().until(bus.w.ready)
    ctx.set(bus.w.valid, 0)
    ctx.set(bus.b.ready, 1)
    (found,) = await ctx.tick().sample(bus.b.payload.resp).until(bus.b.valid)
    ctx.set(bus.b.ready, 0)
    assert not ctx.get(bus.b.valid)
    assert found == response


async def read_at(ctx, bus, offset, response=Response.OKAY):
    ctx.set(bus.ar.payload.addr, offset)
    ctx.set(bus.ar.valid, 1)
    await ctx.tick().until(bus.ar.ready)
    ctx.set(bus.ar.valid, 0)
    ctx.set(bus.r.ready, 1)
    value, found = (
        await ctx.tick().sample(bus.r.payload.data, bus.r.payload.resp).until(bus.r.valid)
    )
    ctx.set(bus.r.ready, 0)
    assert found == response
    return value


async def read(ctx, bus, name):
    return await read_at(ctx, bus, registers.BY_NAME[name].offset)


def simulate(bench):
    dut = ControlRegisters(NANO)
    finished = []

    async def wrapped(ctx):
        ctx.set(dut.idle, 1)
        await bench(ctx, dut)
        finished.append(True)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(wrapped)
    simulator.run()
    assert finished, "nothing was checked"


async def pulse(ctx, signal):
    ctx.set(signal, 1)
    await ctx.tick()
    ctx.set(signal, 0)


def test_registers_read_back_and_constants_do_not_change():
    async def bench(ctx, dut):
        for number, register in enumerate(registers.REGISTERS):
            if register.writable and register.name not in ("control", "interrupt"):
                await write(ctx, dut.bus, register.name, (0xDEAD0000 + number) & 0xFFFFFFFF)
        for number, register in enumerate(registers.REGISTERS):
            if register.writable and register.name not in ("control", "interrupt"):
                value = 0xDEAD0000 + number
                expected = value & 3 if register.name == "interrupt_enable" else value
                assert await read(ctx, dut.bus, register.name) == expected
        await write(ctx, dut.bus, "program", 5, strobe=7, response=Response.SLVERR)
        assert await read(ctx, dut.bus, "program") != 5
        await write(ctx, dut.bus, "id", 0, response=Response.SLVERR)
        assert await read(ctx, dut.bus, "id") == isa.MAGIC
        assert await read(ctx, dut.bus, "version") == isa.ISA_VERSION
        low, high = [await read(ctx, dut.bus, f"config_{half}") for half in ("low", "high")]
        assert f"{high:08x}{low:08x}" == NANO.digest
        assert ctx.get(dut.window_base) >> 32 == await read(ctx, dut.bus, "window_base_high")

    simulate(bench)


def test_a_run_counts_its_cycles_and_activities():
    async def bench(ctx, dut):
        await write(ctx, dut.bus, "interrupt_enable", 1)
        for engine in Engine:
            ctx.set(dut.activity[engine], Activity(engine))
        await write(ctx, dut.bus, "control", registers.CONTROL_START)
        assert await read(ctx, dut.bus, "status") == registers.STATUS_BUSY
        await ctx.tick().repeat(100)
        await pulse(ctx, dut.finished)
        assert ctx.get(dut.interrupt)
        assert await read(ctx, dut.bus, "status") == registers.STATUS_DONE
        cycles = await read(ctx, dut.bus, "cycles_low")
        assert 100 < cycles < 110
        for engine in Engine:
            counts = [
                await read_at(ctx, dut.bus, registers.counter_offset(engine, activity))
                for activity in Activity
            ]
            assert counts == [cycles if activity == engine else 0 for activity in Activity]
        await write(ctx, dut.bus, "interrupt", 1)
        assert not ctx.get(dut.interrupt)
        assert await read(ctx, dut.bus, "cycles_low") == cycles

    simulate(bench)


def test_the_first_fault_stays_until_a_reset_which_waits_for_the_bus():
    async def bench(ctx, dut):
        await write(ctx, dut.bus, "interrupt_enable", 2)
        await write(ctx, dut.bus, "control", registers.CONTROL_START)
        for code, address in [(Fault.BUS_READ, 0x1234), (Fault.WATCHDOG, 1)]:
            ctx.set(dut.fault.code, code)
            ctx.set(dut.fault.address, address)
            await pulse(ctx, dut.fault.valid)
        assert ctx.get(dut.interrupt)
        assert ctx.get(dut.halt)
        assert await read(ctx, dut.bus, "status") == registers.STATUS_ERROR
        assert await read(ctx, dut.bus, "error_code") == Fault.BUS_READ
        assert await read(ctx, dut.bus, "error_address") == 0x1234
        ctx.set(dut.idle, 0)
        await write(ctx, dut.bus, "control", registers.CONTROL_RESET)
        await ctx.tick().repeat(20)
        assert ctx.get(dut.halt)
        assert not ctx.get(dut.clear)
        ctx.set(dut.idle, 1)
        await ctx.tick()
        assert ctx.get(dut.clear)
        await ctx.tick()
        assert not ctx.get(dut.clear)
        assert not ctx.get(dut.halt)
        assert await read(ctx, dut.bus, "status") == 0
        assert await read(ctx, dut.bus, "error_code") == Fault.NONE

    simulate(bench)


@pytest.mark.parametrize("while_", ["busy", "stopped", "resetting"])
def test_what_a_program_runs_with_is_locked(while_):
    async def bench(ctx, dut):
        bus, refused = dut.bus, Response.SLVERR
        await write(ctx, bus, "program", 0x4000)
        await write(ctx, bus, "window_base_low", 0x12345FFF)
        await write(ctx, bus, "control", registers.CONTROL_START)
        if while_ == "stopped":
            ctx.set(dut.fault.code, Fault.BUS_READ)
            await pulse(ctx, dut.fault.valid)
        if while_ == "resetting":
            ctx.set(dut.idle, 0)
            await write(ctx, bus, "control", registers.CONTROL_RESET)
        status = await read(ctx, bus, "status")
        await write(ctx, bus, "control", registers.CONTROL_START, response=refused)
        locked = [r.name for r in registers.REGISTERS if r.fields[0].locked and len(r.fields) == 1]
        assert len(locked) == 6
        for name in locked:
            before = await read(ctx, bus, name)
            await write(ctx, bus, name, 0x5555, response=refused)
            assert await read(ctx, bus, name) == before
        assert ctx.get(dut.window_base) == 0x12345000
        assert await read(ctx, bus, "status") == status
        assert await read(ctx, bus, "program") == 0x4000
        await write(ctx, bus, "watchdog", 77)
        await write(ctx, bus, "control", registers.CONTROL_FORCE)
        await ctx.tick().repeat(2)
        await write(ctx, bus, "program", 0x8000)
        await write(ctx, bus, "control", registers.CONTROL_START)
        assert await read(ctx, bus, "status") == registers.STATUS_BUSY

    simulate(bench)


def test_the_register_map_has_no_two_at_one_place():
    offsets = [register.offset for register in registers.REGISTERS]
    offsets += [registers.counter_offset(e, a) for e in Engine for a in Activity]
    assert len(set(offsets)) == len(offsets)
    assert max(offsets) < 1 << registers.ADDRESS_BITS
    rows = re.findall(r"^\| 0x(\w+) \| `(\w+)` \|", registers.document(), re.M)
    assert sorted(int(offset, 16) for offset, _ in rows) == sorted(offsets)
