"""Options of the commands that model a machine in time: its clock, and the memory behind it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from harness.commands.numbers import CLOCK, CYCLES, PORT

F = TypeVar("F", bound=Callable[..., Any])


def clock_option(function: F) -> F:
    """Adds ``--clock MHZ``, passed as ``clock_mhz``; None: nobody said any."""
    return click.option(
        "--clock",
        "clock_mhz",
        type=CLOCK,
        show_default="300, or what the timing file proves",
        metavar="MHZ",
        help="Clock of the machine. Assumed; with a timing file at most what that proves.",
    )(function)


def timing_option(function: F) -> F:
    """Adds ``--timing FILE``, passed as ``timing_file``."""
    return click.option(
        "--timing",
        "timing_file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The clock that `dna timing --json FILE` proved of this machine.",
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
