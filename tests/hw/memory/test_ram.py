import random

import pytest
from amaranth.sim import Simulator

from hw.memory.ram import DualPortRam, Ram


def test_numbers_that_cannot_be():
    with pytest.raises(ValueError, match="width must be a positive integer, not 0"):
        Ram(width=0, depth=4)
    with pytest.raises(ValueError, match=r"depth must be a positive integer, not 2\.0"):
        Ram(width=8, depth=2.0)
    with pytest.raises(ValueError, match=r"width must be a multiple of parts \(3\), not 8"):
        Ram(width=8, depth=4, parts=3)


@pytest.mark.parametrize(
    ("ram", "name"),
    [
        (Ram(width=8, depth=5), "dna_ram_1r1w_8x5"),
        (Ram(width=32, depth=16, parts=4), "dna_ram_1r1w_32x16x4"),
        (DualPortRam(width=8, depth=4), "dna_ram_1r1rw_8x4"),
    ],
)
def test_the_module_says_its_shape(ram, name):
    assert ram.module_name == name


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("parts", [1, 4])
def test_random_accesses_against_a_list(shared, parts):
    depth, bits = 6, 8
    dut = (DualPortRam if shared else Ram)(width=parts * bits, depth=depth, parts=parts)

    async def bench(ctx):
        draw = random.Random(parts)
        words = [0] * depth
        expected = {"read_data": None, "shared_data": None}
        known = [False] * depth
        for _ in range(400):
            write = draw.getrandbits(parts) if draw.random() < 0.5 else 0
            address, read_address = draw.randrange(depth), draw.randrange(depth)
            if write and read_address == address:
                read_address = (address + 1) % depth  # both in one cycle: undefined
            data, read = draw.getrandbits(parts * bits), draw.random() < 0.6
            ctx.set(dut.write, write)
            ctx.set(dut.write_data, data)
            ctx.set(dut.read, read)
            ctx.set(dut.read_address, read_address)
            if shared:
                ctx.set(dut.shared_address, address)
                ctx.set(dut.shared_read, int(not write))
            else:
                ctx.set(dut.write_address, address)
            if read:
                expected["read_data"] = words[read_address]
            if shared and not write:
                expected["shared_data"] = words[address]
            await ctx.tick()
            for part in range(parts):
                if write >> part & 1:
                    mask = (1 << bits) - 1 << part * bits
                    words[address] = words[address] & ~mask | data & mask
            known[address] |= bool(write)
            for port, value in expected.items():
                if value is not None:
                    assert ctx.get(getattr(dut, port)) == value
        assert all(known)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
