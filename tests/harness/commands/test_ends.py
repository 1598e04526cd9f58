"""Whatever ends a ``dna`` command: none of the processes that it has started outlives it.

``tests/harness/host/test_ends.py`` does the same with each way of starting one.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.mlperf.submissions import system
from hw.config import PRESETS
from sim.functional.isa import available
from sim.native import cpus
from tests.support.tiny import save_artifact, save_compiled, save_photographs

ROOT = Path(__file__).parents[3]
MARK = "DNA_TEST_ENDS"
"""A variable that all processes of a test inherit, whoever starts them."""
SECONDS = 2

ANY_NETWORK = """
from harness import cli
from harness.mlperf import resnet50
resnet50.check = lambda network: None
cli.main()
"""
"""The command line, but a submission takes any network."""

STUBBED = {
    "report": ["report", "tiny.nano"],
    "explore": ["explore", "tiny.dna", "--config", "nano", "--dram", "8,16", "--workers", "2"],
    "fetch": ["fetch"],
    "verify, layers": ["verify", "tiny.dna", "--workers", "2", "--image", "photographs/0.jpg"],
    "verify, program": ["verify", "tiny.nano", "--image", "photographs/0.jpg"],
    "submission build": [
        *("submission", "build", "tiny.nano", "--system", "system.json", "-o", "out"),
        *("--timing", "modelled", "--data-dir", "photographs"),
    ],
}
"""Commands whose children wait for a program that never ends, in the place of g++ or npm."""

if available():  # else LiteRT answers, and nothing is compiled
    STUBBED |= {
        "run": ["run", "tiny.dna", "photographs/0.jpg"],
        "loadgen": ["loadgen", "tiny.dna", "--scenario", "Offline", "--data-dir", "photographs"],
    }

WORKING = {}
"""Commands with two children that work for long enough."""

if cpus() > 1:  # else it works by itself
    WORKING["compare"] = ["compare", "tiny.dna", "--random", "5000"]

COMMANDS = STUBBED | WORKING


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ends")
    save_artifact(folder / "tiny.dna", side=24)
    save_compiled(folder / "tiny.nano", PRESETS["nano"], side=24)
    save_photographs(folder / "photographs", 2)
    said = {**dict.fromkeys(system.ASKED, "x"), "division": "open", "status": "rdi"}
    (folder / "system.json").write_text(json.dumps(said))
    return folder


def marked(mark):
    """The numbers of the processes with our variable that are no zombies."""
    found = set()
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                mine = f"{MARK}={mark}".encode() in (process / "environ").read_bytes().split(b"\0")
                if mine and (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    found.add(int(process.name))
            except OSError:
                continue
    return found


def at_work(number):
    """Whether a process has begun with what it is for, and so is a child of ours altogether."""
    try:
        maps = Path(f"/proc/{number}/maps").read_text()
    except OSError:
        return False
    return "numpy" in maps


def wait_until(condition, seconds, process=None):
    deadline = time.monotonic() + seconds
    while not condition():
        if process is not None:
            assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def start(folder, tmp_path, name, **options):
    """The command, once a child of it is at work."""
    stubs, seen = tmp_path / "stubs", tmp_path / "seen"
    stubs.mkdir()
    seen.mkdir()
    for program in ("g++", "npm"):
        (stubs / program).write_text(f"#!/bin/sh\ntouch {seen}/$$\nexec sleep 600\n")
        (stubs / program).chmod(0o755)
    process = subprocess.Popen(
        [sys.executable, "-c", ANY_NETWORK, *COMMANDS[name]],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PATH": f"{stubs}:{os.environ['PATH']}",
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            MARK: str(tmp_path),
        },
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        **options,
    )
    if name in STUBBED:
        wait_until(lambda: any(seen.iterdir()), 120, process)
    else:
        wait_until(lambda: sum(map(at_work, marked(tmp_path) - {process.pid})) > 1, 120, process)
    return process


def check_all_end(process, tmp_path):
    wait_until(lambda: not marked(tmp_path), SECONDS)
    process.communicate()


@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_outlives_a_command_that_is_killed(folder, tmp_path, name):
    process = start(folder, tmp_path, name)
    process.kill()
    process.wait()
    check_all_end(process, tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_nothing_outlives_a_command_that_is_told_to_end(folder, tmp_path, number):
    process = start(folder, tmp_path, "explore")
    process.send_signal(number)
    check_all_end(process, tmp_path)


def test_nothing_outlives_a_terminal_that_is_closed(folder, tmp_path):
    terminal, inside = os.openpty()
    process = start(
        folder,
        tmp_path,
        "explore",
        stdin=inside,
        start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # it becomes the session's
    )
    os.close(inside)
    os.close(terminal)
    check_all_end(process, tmp_path)
