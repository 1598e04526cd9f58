"""Options of the commands that model a machine in time: its clock, and the memory behind it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from harness.commands.numbers import CLOCK, CYCLES, PORT
from sim.memory.presets import IDEAL, names

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


def memory_option(function: F) -> F:
    """Adds ``--memory NAME``, passed as ``memory_name``."""
    return click.option(
        "--memory",
        "memory_name",
        default=IDEAL,
        show_default=True,
        metavar="NAME",
        help=f"The external memory: {', '.join(names())}; 2x, 4x or 8x in front: so many of them.",
    )(function)


def bandwidth_option(purpose: str) -> Callable[[F], F]:
    """Adds ``--memory-bandwidth PART``, passed as ``memory_bandwidth``; None: nobody said any.

    Args:
        purpose: what is done with it, for the help text.
    """
    return click.option(
        "--memory-bandwidth",
        type=PORT,
        show_default="1.0",
        metavar="PART",
        help="Of the ideal memory: the part of the DRAM port's width that it keeps up "
        f"with{purpose}.",
    )


def memory_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of the memory, passed as ``memory``, a ``MemoryChoice``."""

    @memory_option
    @_ideal_options
    @functools.wraps(function)
    def wrapped(
        *args: Any,
        memory_name: str,
        memory_latency: int | None,
        memory_bandwidth: float | None,
        **options: Any,
    ) -> None:
        from harness.hardware.memory import MemoryChoice

        choice = MemoryChoice(memory_name, memory_latency, memory_bandwidth)
        function(*args, memory=choice, **options)

    return wrapped


def memories_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds those of several memories, passed as ``memories``, of which each is a choice."""

    @click.option(
        "--memory",
        "memory_names",
        default=IDEAL,
        show_default=True,
        metavar="NAME,...",
        help=f"External memories: {', '.join(names())}; 2x, 4x or 8x in front: so many of them.",
    )
    @_ideal_options
    @functools.wraps(function)
    def wrapped(
        *args: Any,
        memory_names: str,
        memory_latency: int | None,
        memory_bandwidth: float | None,
        **options: Any,
    ) -> None:
        from harness.hardware.memory import MemoryChoice

        choices = [
            MemoryChoice(name, memory_latency, memory_bandwidth)
            for name in dict.fromkeys(memory_names.split(","))
        ]
        function(*args, memories=choices, **options)

    return wrapped


def _ideal_options(function: F) -> F:
    latency = click.option(
        "--memory-latency",
        type=CYCLES,
        show_default="64",
        metavar="CYCLES",
        help="Of the ideal memory: from a burst's address to its first word.",
    )
    return latency(bandwidth_option("")(function))
