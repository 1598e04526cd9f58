"""A cocotb test that would pass if tests were not obliged to check: it must not."""

from tests.cocotb.bench import hardware_test, reset


@hardware_test
async def runs_without_a_check(dut):
    await reset(dut)
