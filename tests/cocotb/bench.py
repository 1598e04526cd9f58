"""What the cocotb tests share: clock, reset, streams, and the rule that a test must check."""

from __future__ import annotations

import functools
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, ReadOnly

from tests.hw.support.streams import Traffic, Transfers

Test = Callable[[Any], Awaitable[None]]


class Checks:
    """Counts comparisons, so that a test without any can fail."""

    made = 0


def compare(actual: Any, expected: Any) -> None:
    """Check, and count the check."""
    assert actual == expected
    Checks.made += 1


def hardware_test(function: Test) -> Any:
    """A cocotb test, with a clock running, that fails unless it has compared something."""
    return clocked_test(clk=10)(function)


def clocked_test(**periods: float) -> Callable[[Test], Any]:
    """The same with several clocks: their names and periods in ns."""

    def decorated(function: Test) -> Any:
        @functools.wraps(function)
        async def test(dut: Any) -> None:
            before = Checks.made
            for name, period in periods.items():
                Clock(getattr(dut, name), period, unit="ns").start()
            await function(dut)
            assert Checks.made > before, "the test has checked nothing"

        return cocotb.test(timeout_time=10, timeout_unit="ms")(test)

    return decorated


async def reset(dut: Any) -> None:
    """Reset the design and return at a falling edge.

    Inputs change at falling edges, so that none does at the rising edge that samples it.
    """
    dut.rst.value = 1
    await ClockCycles(dut.clk, 2)
    await FallingEdge(dut.clk)
    dut.rst.value = 0


async def run(
    dut: Any, design: Any, *, inputs: Mapping[str, int] | None = None, **traffic: Any
) -> dict[str, Transfers]:
    """Run from reset until everything is sent and received.

    Args:
        design: the component that ``dut`` is the Verilog of.
        inputs: values of plain inputs.
        traffic: see :class:`tests.hw.support.streams.Traffic`.

    Returns:
        The transfers of every stream.
    """
    judge = Traffic(design, **traffic)
    ports = {
        (name, member): getattr(dut, f"{name}__{member}")
        for name in judge.transfers
        for member in ("valid", "ready", "payload")
    }
    for name in traffic["send"]:
        ports[name, "valid"].value = 0
    for name, value in (inputs or {}).items():
        getattr(dut, name).value = value
    await reset(dut)
    while not judge.finished:
        for key, value in judge.drive().items():
            ports[key].value = value
        await ReadOnly()
        for name in judge.transfers:
            valid, ready, payload = (
                ports[name, member].value for member in ("valid", "ready", "payload")
            )
            # Before it is valid a payload may be unknown.
            judge.observe(name, int(valid), int(ready), int(payload) if valid else 0)
        judge.tick()
        await FallingEdge(dut.clk)
    return judge.transfers


def random_paces(*names: str) -> dict[str, float]:
    """A pace for each stream, from often blocked to never."""
    return {name: random.choice([0.2, 0.6, 0.9, 1]) for name in names}
