"""Options of commands that run a test of LoadGen's."""

from __future__ import annotations

from typing import Any

import click

from harness.commands.common import PATH, F, data_dir_option
from harness.commands.numbers import DURATION, Count

_OPTIONS: tuple[Any, ...] = (
    data_dir_option,
    click.option("--count", type=Count("photographs"), help="Only the first COUNT photographs."),
    click.option("--user-conf", type=PATH, metavar="FILE", help="LoadGen's user.conf."),
    click.option(
        "--min-duration",
        type=DURATION,
        metavar="SECONDS",
        help="Default: MLPerf's 600. A shorter run is said to be shorter.",
    ),
    click.option(
        "--samples",
        type=Count("photographs"),
        help="Photographs held in memory at a time. Default: MLPerf's 1024 (yolo: 64), all if "
        "fewer.",
    ),
    click.option(
        "-o",
        "--output",
        type=PATH,
        metavar="DIR",
        help="For LoadGen's logs. Default: a new build/loadgen/SCENARIO/MODE/run_N.",
    ),
)


def loadgen_options(function: F) -> F:
    """Adds what every test can be told, passed by these names: photographs, length, logs."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
