"""Processes that are killed: what they held is free, and what they started is gone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.mlperf.submissions.alone import LOCK, alone
from sw.errors import DnaError

ROOT = Path(__file__).parents[4]
PARENT = """
from pathlib import Path
from harness.mlperf.submissions.alone import alone
from sw.host import children
with alone(Path("out")):
    children.run(["sh", "-c", "echo $$ > child; exec sleep 60"])
"""


def running(number):
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_child_ends_with_its_parent(tmp_path, number):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
    )
    file = tmp_path / "child"
    wait_until(lambda: file.is_file() and file.read_text().strip())
    child = int(file.read_text())
    assert running(child)
    with pytest.raises(DnaError, match=r"another process is at work in .*out; wait for its end"):
        alone(tmp_path / "out").__enter__()
    parent.send_signal(number)
    parent.wait()
    wait_until(lambda: not running(child))
    with alone(tmp_path / "out"):
        pass


def test_one_at_a_time(tmp_path):
    folder = tmp_path / "new" / "folder"
    with alone(folder):
        assert (folder / LOCK).is_file()
        with pytest.raises(DnaError, match="another process"), alone(folder):
            pass
    with alone(folder), alone(tmp_path):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(DnaError, match=r"cannot write .*file"), alone(tmp_path / "file"):
        pass
