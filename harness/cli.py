"""The console script ``dna``."""

from __future__ import annotations

import importlib
import sys
from typing import NoReturn

import click

from harness.host import output, terminal
from sw.errors import DnaError, one_line
from sw.version import VERSION

COMMANDS = {
    "fetch": "prepare.fetch",
    "quantize": "prepare.quantize",
    "import": "prepare.import_",
    "compile": "prepare.compile",
    "disasm": "prepare.disasm",
    "pack": "prepare.pack",
    "report": "design.report",
    "explore": "design.explore",
    "run": "run.run",
    "deployed": "run.deployed",
    "compare": "run.compare",
    "verify": "run.verify",
    "loadgen": "mlperf.loadgen",
    "backend": "mlperf.backend",
    "compliance": "mlperf.compliance",
    "submission": "mlperf.submission",
    "bench": "run.bench",
    "rtl": "design.rtl",
    "timing": "design.timing",
    "soc": "board.soc",
    "board": "board.board",
}
"""The module of each command below ``harness.commands``, in the order of the help."""

BAD_INPUT = 2


class LazyGroup(click.Group):
    """Imports a command's module only when the command is asked for: ``dna --help`` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command called ``cmd_name``, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"harness.commands.{COMMANDS[cmd_name]}")
        command = module.command
        assert isinstance(command, click.Command)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="dna")
def dna() -> None:
    """Quantize ResNet50, run it on the open Dynamic Neural Accelerator, score it with MLPerf."""


def _fail(message: str) -> NoReturn:
    terminal.Console(stderr=True).fail(one_line(message))
    sys.exit(BAD_INPUT)


def main() -> NoReturn:
    """Run ``dna``: one line and exit code 2 for bad input, 130 when interrupted."""
    terminal.any_text_on(sys.stdout, sys.stderr)
    try:
        with output.checked():
            code = dna.main(standalone_mode=False)
        sys.exit(code)
    except DnaError as error:
        _fail(str(error))
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(BAD_INPUT)
    except click.ClickException as error:
        _fail(error.format_message())
    except (click.Abort, KeyboardInterrupt):
        terminal.Console(stderr=True).print("interrupted")
        sys.exit(130)


if __name__ == "__main__":
    main()
