"""What the sweeps over random cases are asked on the command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from harness.commands.common import PATH, json_option
from hw.config import DnaConfig
from tests.sweeps import findings
from tests.sweeps.machines import NAMES, machines

FAILED, BAD_USE, INTERRUPTED = 1, 2, 130
"""Exit codes but 0."""

PLAIN_WIDTH = 120
"""Columns where the output is no terminal."""


class CaseNumber(click.ParamType[tuple[int, int]]):
    """``SEED:NUMBER``."""

    name = "SEED:NUMBER"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Parse and check the two numbers."""
        seed, colon, number = value.partition(":")
        if not (colon and seed.isdecimal() and number.isdecimal()):
            self.fail(f"{value!r} is not SEED:NUMBER", param, ctx)
        return int(seed), int(number)


@dataclasses.dataclass(frozen=True)
class Asked:
    """Which cases to try, on which machines, and where to keep what is found."""

    seed: int
    numbers: Sequence[int]
    configs: list[DnaConfig]
    folder: Path


def case_options(cases: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Adds the options, passed as ``asked`` and ``json_file``.

    Args:
        cases: how many there are if nobody says.
    """

    def add(command: Callable[..., None]) -> Callable[..., None]:
        def called(
            cases: int,
            seed: int,
            name: str | None,
            single: tuple[int, int] | None,
            folder: Path,
            json_file: Path | None,
        ) -> None:
            numbers: Sequence[int] = range(cases)
            if single is not None:
                if name is None:
                    raise click.UsageError("--case needs --config: it says on which machine")
                seed, numbers = single[0], [single[1]]
            there = machines(seed)
            configs = [there[name]] if name else list(there.values())
            command(Asked(seed, numbers, configs, folder), json_file)

        called.__doc__ = command.__doc__
        options = [
            click.option("--cases", type=click.IntRange(min=1), default=cases, show_default=True),
            click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
            click.option(
                "--config",
                "name",
                type=click.Choice(NAMES),
                help="One machine. Default: all, two of which the seed draws.",
            ),
            click.option(
                "--case", "single", type=CaseNumber(), help="Only this case; needs --config."
            ),
            click.option(
                "--keep",
                "folder",
                type=PATH,
                default=findings.FOLDER,
                metavar="DIR",
                help="Where a case that fails is kept. Default: where the tests find it.",
            ),
            json_option,
        ]
        for option in reversed(options):
            called = option(called)
        return called

    return add
