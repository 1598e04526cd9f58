import os
import subprocess
import sys

import pytest
from click.shell_completion import BashComplete

from harness.cli import COMMANDS, dna, main
from hw.config import PRESETS
from sw.errors import DnaError
from sw.version import VERSION


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["dna", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code or 0


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(monkeypatch, capsys, command):
    assert run(monkeypatch, command, "--help") == 0
    assert f"dna {command} " in capsys.readouterr().out.split("Example", 1)[1]


def test_the_version_is_that_of_the_sources(monkeypatch, capsys):
    assert run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"dna, version {VERSION}\n"


def test_help_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['dna', '--help']\n"
        "from harness.cli import main\n"
        "try:\n    main()\n"
        "finally:\n"
        "    heavy = {'torch', 'amaranth', 'ai_edge_litert', 'cv2'} & set(sys.modules)\n"
        "    print('heavy:', sorted(heavy))\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert shown.stdout.rstrip().endswith("heavy: []")


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["frobnicate"], "frobnicate"),
        (["run"], "ARTIFACT"),
        (["run", "--frobnicate"], "--frobnicate"),
        (["loadgen", "x", "--scenario", "Server"], "Server"),
        (["run", "no/such/artifact", "x.jpg"], "no/such/artifact"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(monkeypatch, capsys, arguments, names):
    assert run(monkeypatch, *arguments) == 2
    error = capsys.readouterr().err
    assert names in error
    assert error.startswith("error: ")
    assert len(error.strip().splitlines()) == 1


def test_markup_in_a_message_is_shown_as_it_is(monkeypatch, capsys):
    def fail(**_):
        raise DnaError("shape [1, 2]\n differs from [bold]")

    monkeypatch.setattr("harness.cli.dna.main", fail)
    assert run(monkeypatch) == 2
    assert capsys.readouterr().err == "error: shape [1, 2] differs from [bold]\n"


def test_ctrl_c_is_not_a_traceback(monkeypatch, capsys):
    def interrupt(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.cli.dna.main", interrupt)
    assert run(monkeypatch) == 130
    assert capsys.readouterr().err == "interrupted\n"


def offered(*words):
    """What the shell offers for the last word: kind and value."""
    *before, last = words
    found = BashComplete(dna, {}, "dna", "_DNA_COMPLETE").get_completions(before, last)
    return [(item.type, item.value) for item in found]


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (("",), list(COMMANDS)),
        (("comp",), ["compile", "compare", "compliance"]),
        (("backend", ""), ["install", "remove"]),
        (("loadgen", "x", "--scen"), ["--scenario"]),
        (("loadgen", "x", "--scenario", "S"), ["SingleStream"]),
        (("compile", "x", "--config", ""), list(PRESETS)),
        (("explore", "x", "--config", "f"), ["f100", "f200"]),
    ],
)
def test_the_shell_completes(words, values):
    assert offered(*words) == [("plain", value) for value in values]


@pytest.mark.parametrize(
    "words", [("compile", "a"), ("compile", "x", "-o", "a"), ("compile", "x", "--config", "mi/ne")]
)
def test_the_shell_completes_files(words):
    assert offered(*words) == [("file", words[-1])]


def test_the_line_that_turns_completion_on():
    """As docs/guide.md gives it: a script for the shell, and nothing else happens."""
    code = "import sys; sys.argv = ['dna']; from harness.cli import main; main()"
    for shell in ("bash", "zsh", "fish"):
        shown = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "_DNA_COMPLETE": f"{shell}_source"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"_DNA_COMPLETE={shell}_complete" in shown.stdout
