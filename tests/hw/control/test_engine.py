"""What engines have in common: after a reset of the core, nothing of an instruction is left."""

import pytest
from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator

from hw.config import PRESETS
from hw.isa import Instruction, Opcode
from hw.transfer.load import LoadEngine
from hw.transfer.store import StoreEngine

NANO = PRESETS["nano"]
INSTRUCTIONS = {
    LoadEngine: Instruction(
        Opcode.LOAD,
        {
            "dram_pitch": 64,
            "row_bytes": 64,
            "rows": 9,
            "windows": 16,
            "window_bytes": 4,
            "window_step": 4,
            "window_words": 1,
            "out_pitch": 16,
        },
    ),
    StoreEngine: Instruction(
        Opcode.STORE, {"in_pitch": 16, "rows": 9, "row_words": 16, "dram_pitch": 64}
    ),
}
STARTED, LATER = 20, 40


@pytest.mark.parametrize("engine", INSTRUCTIONS)
def test_a_reset_in_the_middle_leaves_no_request(engine):
    dut, clear = engine(NANO), Signal()
    requests = [dut.memory.requests]
    if engine is StoreEngine:
        requests.append(dut.features.requests)
    seen = []

    async def testbench(ctx):
        offered = dut.engine.instructions
        ctx.set(offered.payload, int.from_bytes(INSTRUCTIONS[engine].encode(), "little"))
        ctx.set(offered.valid, 1)
        for cycle in range(STARTED + LATER):
            if cycle == STARTED:
                ctx.set(offered.valid, 0)
                ctx.set(clear, 1)
            _, _, *valid = await ctx.tick().sample(*(port.valid for port in requests))
            ctx.set(clear, 0)
            seen.append(any(valid))

    simulator = Simulator(ResetInserter(clear)(dut))
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    assert seen[STARTED]
    assert not any(seen[STARTED + 1 :])
