"""What a command cannot write is one line and exit code 2, whatever it was."""

import os
import resource
import subprocess
import sys

import pytest

from hw.config import PRESETS
from sw import artifact
from tests.support.tiny import save_artifact, save_compiled


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    return save_compiled(tmp_path_factory.mktemp("output") / "tiny.nano", PRESETS["nano"], side=16)


def dna(*arguments, stdout=subprocess.PIPE, file_bytes=None):
    """Run ``dna``; the exit code and the lines of its standard error."""

    def limit():
        if file_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))

    done = subprocess.run(
        [sys.executable, "-m", "harness.cli", *map(str, arguments)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        preexec_fn=limit,
        env={**os.environ, "COLUMNS": "400"},
    )
    return done.returncode, done.stderr.splitlines()


@pytest.mark.parametrize("arguments", [("disasm", "ARTIFACT"), ("--help",), ("report", "ARTIFACT")])
def test_a_full_disk_behind_the_standard_output(compiled, tmp_path, arguments):
    places = {"ARTIFACT": compiled}
    with open("/dev/full", "w") as full:
        code, lines = dna(*(places.get(word, word) for word in arguments), stdout=full)
    assert (code, lines) == (
        2,
        ["error: cannot write to the standard output: No space left on device"],
    )


def test_a_pipe_that_is_closed(compiled):
    reader, writer = os.pipe()
    os.close(reader)
    code, lines = dna("disasm", compiled, stdout=writer)
    os.close(writer)
    assert (code, lines) == (2, ["error: cannot write to the standard output: Broken pipe"])


def test_no_standard_output_at_all(compiled, tmp_path):
    command = [sys.executable, "-m", "harness.cli", "report", str(compiled)]
    figures = tmp_path / "figures.json"
    shell = ["sh", "-c", '"$@" >&-', "sh", *command, "--json", str(figures)]
    done = subprocess.run(shell, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert figures.read_text().startswith("{")


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "ARTIFACT", "-o", "/dev/full"),
        ("report", "ARTIFACT", "--json", "/dev/full"),
        ("report", "ARTIFACT", "--trace", "/dev/full"),
    ],
)
def test_a_full_disk_behind_an_option(compiled, arguments):
    code, lines = dna(*(compiled if word == "ARTIFACT" else word for word in arguments))
    assert (code, lines) == (2, ["error: cannot write /dev/full: No space left on device"])


def test_a_full_disk_keeps_the_old_artifact(compiled, tmp_path):
    path = tmp_path / "there"
    save_artifact(path, side=32)
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    code, lines = dna("compile", compiled, "--config", "nano", "-o", path, file_bytes=3000)
    assert (code, lines) == (2, [f"error: cannot write {path}: File too large"])
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before
    assert list(tmp_path.iterdir()) == [path]
    assert artifact.load(path).program is None
