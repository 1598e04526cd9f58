"""Numbers on the command line: finite, and such as can be; else refused with the unit."""

from __future__ import annotations

import math
from typing import Any

import click

CLOCK_MHZ = (0.001, 10_000.0)
DURATION_S = (0.001, 604_800.0)
LATENCY_CYCLES = 1_000_000
ACCESS_RANGE_NS = (0.1, 1e9)
COPY_GB_PER_S = (1e-6, 1e4)
BANDWIDTH = (2.0**-16, 1.0)
PROCESSES = 1024
COUNT = 10_000_000
RANDOM_INPUTS = 10_000


class Implausible(click.BadParameter):
    """A number that cannot be meant; the message names its option, and what it counts."""

    def format_message(self) -> str:
        """The message alone, without click's words in front of it."""
        return self.message


class Quantity(click.ParamType[float]):
    """A number with a unit.

    Args:
        unit: of it, as people write it.
        least: that it can be.
        most: that it can be.
        of: whose, for the message.
    """

    name = "float"

    def __init__(self, unit: str, least: float, most: float, of: str) -> None:
        self._unit, self._least, self._most, self._of = unit, least, most, of

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parse and check it."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not self._least <= number <= self._most:
            raise Implausible(
                f"{_name(param)} is in {self._unit}; {value} is no {self._of} "
                f"({self._least:.12g} to {self._most:.12g})",
                ctx,
                param,
            )
        return number


class Count(click.ParamType[int]):
    """A number of things.

    Args:
        things: what is counted.
        most: that can be.
        least: that can be.
    """

    name = "integer"

    def __init__(self, things: str, most: int = COUNT, least: int = 1) -> None:
        self._things, self._most, self._least = things, most, least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse and check it."""
        try:
            number = int(value)
        except ValueError:
            number = self._least - 1
        if not self._least <= number <= self._most:
            raise Implausible(
                f"{_name(param)} is a number of {self._things}; {value} is none "
                f"({self._least} to {self._most})",
                ctx,
                param,
            )
        return number


def _name(param: click.Parameter | None) -> str:
    return "it" if param is None else param.opts[0]


class Many(click.ParamType[tuple[Any, ...]]):
    """Numbers with commas between them.

    Args:
        number: what each is.
    """

    name = "A,B,..."

    def __init__(self, number: Quantity | Count) -> None:
        self._number = number

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Any, ...]:
        """Parse and check them; one that is given twice counts once."""
        if isinstance(value, tuple):
            return value
        parts = value.split(",")
        return tuple(dict.fromkeys(self._number.convert(part, param, ctx) for part in parts))


CLOCK = Quantity("MHz", *CLOCK_MHZ, "clock of a machine")
DURATION = Quantity("seconds", *DURATION_S, "duration of a run")
PORT = Quantity("parts of the DRAM port's width", *BANDWIDTH, "bandwidth")
ACCESS = Quantity("nanoseconds", *ACCESS_RANGE_NS, "access to a register")
COPY = Quantity("GB/s", *COPY_GB_PER_S, "speed of a copy")
CYCLES = Count("cycles", LATENCY_CYCLES)
THREADS = Count("threads", PROCESSES)
WORKERS = Count("processes", PROCESSES)
