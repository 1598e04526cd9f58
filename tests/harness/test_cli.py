import subprocess
import sys

import pytest

from harness.cli import COMMANDS, main
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
