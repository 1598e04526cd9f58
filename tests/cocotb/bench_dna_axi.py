"""The machine as it is shipped, between cocotbext-axi's register manager and memory.

It is what ``dna rtl --memory-clock`` writes: the wrapper with AXI's resets, crossings to the clock
of the memory, the machine. The models, which we did not write, judge what ``sim/rtl`` takes for
granted: that the machine's idea of AXI4 and AXI4-Lite is that of others. The memory answers SLVERR
wherever there is none.
"""

import functools
import logging
import random

import numpy as np
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge
from cocotbext.axi import (
    AddressSpace,
    AxiBus,
    AxiLiteBus,
    AxiLiteMaster,
    AxiSlave,
    MemoryRegion,
)

from hw import isa
from hw.bus import registers
from hw.config import PRESETS
from hw.isa import Engine
from hw.status import Activity, Fault
from sim.reference import ReferenceModel
from sw.compiler import compile_graph
from tests.cocotb.bench import clocked_test, compare
from tests.support.programs import noise, random_network

NANO = PRESETS["nano"]
BASE = 0x7_6543_0000
"""Where the memory is: above 4 GiB, so that no half of the address is unused."""
BOTH_INTERRUPTS = 0b11
SEED = 2360
"""Of a network with work for every engine that runs for less than two thousand cycles."""


faster_memory = clocked_test(aclk=10, m_axi_aclk=7)
slower_memory = clocked_test(aclk=10, m_axi_aclk=13)
same_clock = clocked_test(aclk=10, m_axi_aclk=10)


async def reset(dut):
    """Reset both domains and return at a falling edge of the machine's clock."""
    dut.aresetn.value = dut.m_axi_aresetn.value = 0
    await ClockCycles(dut.aclk, 4)
    await FallingEdge(dut.aclk)
    dut.aresetn.value = dut.m_axi_aresetn.value = 1
    await ClockCycles(dut.aclk, 4)  # it is two cycles more until the machine is ready
    await FallingEdge(dut.aclk)


@functools.cache
def network():
    """A program, an image, and the right output."""
    rng = np.random.default_rng(SEED)
    graph = random_network(rng)
    image = noise(rng, graph)
    kinds = {type(operation).__name__ for operation in graph.operations}
    assert kinds >= {
        *("Conv2D", "DepthwiseConv2D", "FullyConnected", "Add", "Lookup"),
        *("MaxPool2D", "AveragePool2D", "Mean"),
    }
    return compile_graph(graph, NANO), image, ReferenceModel(graph).run(image[None])[0]


class Host:
    """Software beside the machine: a memory that holds the program, and access to the registers.

    Args:
        dut: the machine.
        pause: chance per channel and cycle that it pauses.
        hole: whether there is no memory where the output belongs.
    """

    def __init__(self, dut, pause=0.0, hole=False):
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.WARNING)
        self.dut = dut
        self.program, self.image, self.expected = network()
        self.memory = MemoryRegion(self.program.memory.size)
        self.memory[:] = self.program.image(self.image).tobytes()
        space = AddressSpace()
        output = self.program.memory.output.region
        below, above = (output.offset, output.end) if hole else (0, 0)
        for start, stop in ((0, below), (above, self.memory.size)):
            if start < stop:
                space.register_region(self.memory, BASE + start, stop - start, start)
        bus = AxiSlave(
            AxiBus.from_prefix(dut, "m_axi"),
            dut.m_axi_aclk,
            dut.m_axi_aresetn,
            reset_active_level=False,
            target=space,
        )
        self.registers = AxiLiteMaster(
            AxiLiteBus.from_prefix(dut, "s_axil"), dut.aclk, dut.aresetn, reset_active_level=False
        )
        if pause:
            write, read = self.registers.write_if, self.registers.read_if
            for channel in (
                *(bus.read_if.ar_channel, bus.read_if.r_channel),
                *(bus.write_if.aw_channel, bus.write_if.w_channel, bus.write_if.b_channel),
                *(write.aw_channel, write.w_channel, write.b_channel),
                *(read.ar_channel, read.r_channel),
            ):
                channel.set_pause_generator(iter(lambda: random.random() < pause, None))

    async def read(self, name):
        return await self.registers.read_dword(registers.BY_NAME[name].offset)

    async def write(self, name, value):
        await self.registers.write_dword(registers.BY_NAME[name].offset, value)

    async def set_up(self, **changes):
        """Reset with the pin, then say where everything is, with ``changes`` for the worse."""
        await reset(self.dut)
        memory = self.program.memory
        values = {
            "window_base_low": BASE & 0xFFFFFFFF,
            "window_base_high": BASE >> 32,
            "window_size": memory.size,
            "write_base": memory.writable.offset,
            "write_size": memory.writable.length,
            "program": memory.program.offset,
            "interrupt_enable": BOTH_INTERRUPTS,
        }
        for name, value in (values | changes).items():
            await self.write(name, value)

    async def clear(self):
        """Reset with the register; the machine is ready when it is not busy."""
        await self.write("control", registers.CONTROL_RESET)
        while await self.read("status") & registers.STATUS_BUSY:
            pass

    def forget(self):
        """Wipe what the machine may write, so that an old result is none."""
        writable = self.program.memory.writable
        self.memory[writable.offset : writable.end] = bytes(writable.length)

    async def start(self):
        await self.write("control", registers.CONTROL_START)

    async def run(self):
        """Start and wait for the interrupt."""
        await self.start()
        await RisingEdge(self.dut.interrupt)

    async def runs_right(self):
        """Run from wiped memory to the right output; nothing else in memory has changed."""
        self.forget()
        before = bytes(self.memory)
        await self.run()
        compare(await self.read("status"), registers.STATUS_DONE)
        compare(await self.read("interrupt"), 1)
        await self.write("interrupt", BOTH_INTERRUPTS)
        compare(int(self.dut.interrupt.value), 0)
        after = bytes(self.memory)
        memory = self.program.memory
        output = memory.output.read(np.frombuffer(after, np.uint8))
        compare(output.reshape(-1).tolist(), self.expected.reshape(-1).tolist())
        writable = memory.writable
        compare(after[: writable.offset], before[: writable.offset])
        compare(after[writable.end :], before[writable.end :])

    async def fails(self, code, address):
        """Run into a fault."""
        await self.run()
        compare(await self.read("status"), registers.STATUS_ERROR)
        compare(await self.read("interrupt"), BOTH_INTERRUPTS ^ 1)
        compare(await self.read("error_code"), code)
        compare(await self.read("error_address"), address)


@slower_memory
async def registers_at_random_paces(dut):
    host = Host(dut, pause=0.4)
    await reset(dut)
    digest = int(NANO.digest, 16)
    for name, value in {
        "id": isa.MAGIC,
        "version": isa.ISA_VERSION,
        "config_low": digest & 0xFFFFFFFF,
        "config_high": digest >> 32,
        "status": 0,
        "watchdog": registers.DEFAULT_WATCHDOG_CYCLES,
    }.items():
        compare(await host.read(name), value)
    kept = [
        register
        for register in registers.REGISTERS
        if register.writable and register.name not in ("control", "interrupt", "interrupt_enable")
    ]
    values = {register.name: random.getrandbits(32) for register in kept}
    for name, value in values.items():
        await host.write(name, value)
    await host.write("id", 0)
    await host.registers.write(registers.BY_NAME["program"].offset, b"\x55")  # one byte strobe
    for name, value in values.items():
        compare(await host.read(name), value)
    compare(await host.read("id"), isa.MAGIC)
    compare(await host.registers.read_dword((1 << registers.ADDRESS_BITS) - 4), 0)


@same_clock
async def a_network_back_to_back_at_full_speed(dut):
    host = Host(dut)
    await host.set_up()
    cycles = []
    for _ in range(2):
        await host.runs_right()
        cycles.append(await host.read("cycles_low"))
        for engine in (Engine.CONV, Engine.STORE):
            counts = [
                await host.registers.read_dword(registers.counter_offset(engine, activity))
                for activity in Activity
            ]
            compare(sum(counts), cycles[-1])
    compare(cycles[0], cycles[1])


@faster_memory
async def a_network_through_a_memory_that_stalls(dut):
    host = Host(dut, pause=0.5)
    await host.set_up()
    await host.runs_right()


@slower_memory
async def a_reset_in_the_middle_by_register_and_by_pin(dut):
    host = Host(dut, pause=0.2)
    await host.set_up()
    for restart in (host.clear, host.set_up):
        await host.start()
        await ClockCycles(dut.aclk, random.randrange(300, 600))
        compare(await host.read("status"), registers.STATUS_BUSY)
        await restart()
        compare(await host.read("status"), 0)
    await host.runs_right()


@faster_memory
async def a_flipped_bit_in_the_program(dut):
    host = Host(dut, pause=0.2)
    await host.set_up()
    bit = random.randrange(8 * len(host.program.code))
    byte = host.program.memory.program.offset + bit // 8
    host.memory[byte] ^= 1 << bit % 8
    await host.fails(Fault.BAD_CHECKSUM, bit // 8 // isa.INSTRUCTION_BYTES)
    host.memory[byte] ^= 1 << bit % 8
    await host.clear()
    await host.runs_right()


@slower_memory
async def reads_that_leave_window_and_memory(dut):
    host = Host(dut, pause=0.2)
    size = host.program.memory.size
    await host.set_up(program=size)
    await host.fails(Fault.OUT_OF_WINDOW, size)
    await host.clear()
    # The window is larger than the memory: the bus answers with an error.
    await host.write("window_size", 2 * size)
    await host.fails(Fault.BUS_READ, size)
    await host.clear()
    await host.write("program", host.program.memory.program.offset)
    await host.runs_right()


@faster_memory
async def writes_that_leave_window_and_memory(dut):
    host = Host(dut, hole=True)
    writable, output = host.program.memory.writable, host.program.memory.output
    await host.set_up(write_base=writable.end)
    await host.fails(Fault.OUT_OF_WINDOW, output.offset)
    await host.clear()
    await host.write("write_base", writable.offset)
    await host.fails(Fault.BUS_WRITE, output.offset)
