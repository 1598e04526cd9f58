"""Values as they were some cycles ago."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value


def delay(m: Module, value: Value, cycles: int, name: str, *, reset_less: bool = True) -> Value:
    """``value`` as it was ``cycles`` cycles ago.

    Args:
        m: gets a register for each cycle.
        value: of any width.
        cycles: 0 or more.
        name: of the registers, with the number of each behind it.
        reset_less: whether what is in them outlives a reset, as data may and flags may not.
    """
    for cycle in range(cycles):
        stage = Signal(value.shape(), name=f"{name}_{cycle}", reset_less=reset_less)
        m.d.sync += stage.eq(value)
        value = stage
    return value
