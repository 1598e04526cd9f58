from amaranth.sim import Simulator

from hw.control.run_control import ActivityCounters, RunControl
from hw.isa import Engine
from hw.status import Activity, Fault


def simulate(dut, bench):
    finished = []

    async def wrapped(ctx):
        await bench(ctx)
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


def test_a_program_runs_from_start_to_end():
    dut = RunControl()

    async def bench(ctx):
        for cycles in (7, 2, 20):
            ctx.set(dut.asks_start, 1)
            assert ctx.get(dut.start)
            await ctx.tick()
            ctx.set(dut.asks_start, 0)
            assert (ctx.get(dut.busy), ctx.get(dut.done)) == (1, 0)
            await ctx.tick().repeat(cycles - 1)
            await pulse(ctx, dut.finished)
            assert (ctx.get(dut.busy), ctx.get(dut.done)) == (0, 1)
            await ctx.tick().repeat(5)
            assert ctx.get(dut.cycles) == cycles

    simulate(dut, bench)


def test_the_upper_half_of_the_cycles_counts_the_lower_ones_turns():
    dut = RunControl()

    async def bench(ctx):
        await pulse(ctx, dut.asks_start)
        await ctx.tick()
        ctx.set(dut.cycles, 0xFFFF_FFFD)
        await ctx.tick().repeat(9)
        assert ctx.get(dut.cycles) == 0x1_0000_0006
        await pulse(ctx, dut.finished)
        await ctx.tick().repeat(3)
        assert ctx.get(dut.cycles) == 0x1_0000_0008

    simulate(dut, bench)


def test_only_the_first_fault_counts_and_a_reset_waits_for_the_bus():
    dut = RunControl()

    async def bench(ctx):
        await pulse(ctx, dut.asks_start)
        for number, code in enumerate((Fault.BUS_READ, Fault.WATCHDOG)):
            ctx.set(dut.fault.code, code)
            ctx.set(dut.fault.address, 0x100 + number)
            ctx.set(dut.fault.valid, 1)
            assert ctx.get(dut.fails) == (number == 0)
            await ctx.tick()
        ctx.set(dut.fault.valid, 0)
        assert (ctx.get(dut.error), ctx.get(dut.halt), ctx.get(dut.busy)) == (1, 1, 0)
        assert (ctx.get(dut.error_code), ctx.get(dut.error_address)) == (Fault.BUS_READ, 0x100)
        await pulse(ctx, dut.asks_start)
        assert not ctx.get(dut.busy)
        await pulse(ctx, dut.asks_reset)
        await ctx.tick().repeat(9)
        assert (ctx.get(dut.resetting), ctx.get(dut.clear)) == (1, 0)
        ctx.set(dut.idle, 1)
        await ctx.tick()
        assert ctx.get(dut.clear)
        await ctx.tick()
        for signal in (dut.resetting, dut.clear, dut.error, dut.halt, dut.error_code):
            assert not ctx.get(signal)

    simulate(dut, bench)


def test_a_start_while_busy_changes_nothing():
    dut = RunControl()

    async def bench(ctx):
        await pulse(ctx, dut.asks_start)
        ctx.set(dut.asks_start, 1)
        assert ctx.get(dut.locked)
        assert not ctx.get(dut.start)
        await ctx.tick().repeat(3)
        assert (ctx.get(dut.busy), ctx.get(dut.error)) == (1, 0)

    simulate(dut, bench)


def test_a_forced_reset_does_not_wait_for_the_bus():
    dut = RunControl()

    async def bench(ctx):
        await pulse(ctx, dut.asks_start)
        await pulse(ctx, dut.asks_reset)
        await ctx.tick().repeat(9)
        assert (ctx.get(dut.resetting), ctx.get(dut.clear)) == (1, 0)
        await pulse(ctx, dut.asks_force)
        await ctx.tick()
        assert ctx.get(dut.clear)
        await ctx.tick()
        for signal in (dut.resetting, dut.clear, dut.busy, dut.halt):
            assert not ctx.get(signal)
        await pulse(ctx, dut.asks_reset)
        await ctx.tick().repeat(9)
        assert (ctx.get(dut.resetting), ctx.get(dut.clear)) == (1, 0), "force lasts for one reset"

    simulate(dut, bench)


def test_each_busy_cycle_counts_once_for_each_engine():
    dut = ActivityCounters()

    async def bench(ctx):
        for _ in range(2):
            await pulse(ctx, dut.start)
            for cycle in range(40):
                ctx.set(dut.busy, cycle % 5 != 0)
                for engine in Engine:
                    ctx.set(dut.activity[engine], (cycle + engine) % len(Activity))
                await ctx.tick()
            ctx.set(dut.busy, 0)
            await ctx.tick().repeat(3)
            for engine in Engine:
                for activity in Activity:
                    assert ctx.get(dut.cycles[engine][activity]) == sum(
                        cycle % 5 != 0 and (cycle + engine) % len(Activity) == activity
                        for cycle in range(40)
                    )

    simulate(dut, bench)
