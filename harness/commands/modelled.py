"""Options of the commands that model a machine in time: its clock, and the memory behind it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from harness.commands.numbers import CLOCK, CYCLES, PORT

F = TypeVar("F", bound=Callable[..., Any])

CLOCK_MHZ = 300.0
"""The clock of the DNA-F200, which is what figures in milliseconds assume."""


def clock_option(function: F) -> F:
    """Adds ``--clock MHZ``, passed as ``clock_mhz``."""
    return click.option(
        "--clock",
        "clock_mhz",
        type=CLOCK,
        default=CLOCK_MHZ,
        show_default=True,
        metavar="MHZ",
        help="Clock of the machine. Assumed: nothing was placed and routed.",
    )(function)


def bandwidth_option(purpose: str) -> Callable[[F], F]:
    """Adds ``--memory-bandwidth PART``, passed as ``memory_bandwidth``.

    Args:
        purpose: what is done with it, for the help text.
    """
    return click.option(
        "--memory-bandwidth",
        type=PORT,
        default=1.0,
        show_default=True,
        metavar="PART",
        help=f"Part of the DRAM port's width that the external memory keeps up with{purpose}.",
    )


def memory_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of the memory model, passed as ``memory``, a ``MemoryModel``."""

    @click.option(
        "--memory-latency",
        type=CYCLES,
        default=64,
        show_default=True,
        metavar="CYCLES",
        help="Of the external memory: from a burst's address to its first word.",
    )
    @bandwidth_option("")
    @functools.wraps(function)
    def wrapped(*args: Any, memory_latency: int, memory_bandwidth: float, **options: Any) -> None:
        from sim.memory.model import MemoryModel

        model = MemoryModel(latency=memory_latency, bandwidth=memory_bandwidth)
        function(*args, memory=model, **options)

    return wrapped
