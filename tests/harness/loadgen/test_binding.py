"""Where LoadGen is not installed, one line says which extra brings it."""

import subprocess
import sys

import pytest

WITHOUT = "import sys; sys.modules['mlperf_loadgen'] = None\n"
PROGRAM = WITHOUT + "sys.argv = ['dna', *sys.argv[1:]]\nfrom harness.cli import main\nmain()\n"


def run(program, *arguments):
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("loadgen", "x.dna", "--scenario", "Offline"),
        ("submission", "check", "tree", "--reference", "reference"),
    ],
)
def test_the_extra_is_named(arguments, tmp_path):
    done = run(PROGRAM, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: MLPerf's LoadGen is missing; install it: pip install --editable '.[loadgen]'\n"
    )


@pytest.mark.parametrize("command", ["loadgen", "submission", "compliance", "backend"])
def test_help_needs_no_loadgen(command):
    done = run(PROGRAM, command, "--help")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_logs_are_read_without_it():
    assert run(WITHOUT + "import harness.loadgen.logs").returncode == 0
