"""Whatever ends a command, nothing that it started is left after two seconds."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ENDINGS = (signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
SECONDS = 2

POOL = """
    import os, sys, time
    from harness.host.workers import run_tasks

    def task(file):
        open(file + ".new", "w").write(str(os.getpid()))
        os.rename(file + ".new", file)
        time.sleep(600)

    if __name__ == "__main__":
        run_tasks(task, ["a", "b"], workers=2, scheduler=None, done=print)
"""
BUSY_POOL = POOL.replace("time.sleep(600)", "while True: pass")
COMMAND = """
    from sw.host import children
    children.run(["sh", "-c", "sleep 600 & echo $! > a.new; mv a.new a; echo $$ > b; wait"])
"""
OURS = """
    from sw.host import children
    script = "echo $$ > a.new; mv a.new a; echo $$ > b; exec sleep 600"
    children.run(["sh", "-c", script], own_group=False)
"""
CHAIN = """
    import os, sys
    from sw.host import children
    inner = 'from sw.host import children; children.run(["sh", "-c", ' + repr(
        "sleep 600 & echo $! > a.new; mv a.new a; echo $$ > b; wait") + '])'
    children.run([sys.executable, "-c", inner], own_group=False)
"""
YOSYS = """
    import os, time
    from pathlib import Path
    from sim import yosys
    yosys._CALL = "import os, time; open('b', 'w').write(str(os.getpid())); time.sleep(600)"
    Path("a").write_text(str(os.getpid()))
    yosys.run("", Path(), print)
"""
BENCH = """
    import os, sys
    from pathlib import Path
    from harness.bench import worker
    import multiprocessing

    def serve(*arguments):
        from sw.host import children
        children.end_with_parent()
        Path("a").write_text(str(os.getpid()))
        Path("b").write_text(str(os.getpid()))
        while True:
            pass

    if __name__ == "__main__":
        worker._serve = serve
        with worker.started(Path("x"), "functional", "", 1):
            pass
"""


def running(number):
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def numbers(folder):
    return [int((folder / name).read_text()) for name in ("a", "b")]


def start(folder, script, **options):
    (folder / "script.py").write_text(textwrap.dedent(script))
    process = subprocess.Popen(
        [sys.executable, folder / "script.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
        # Under nohup, tests would hand an ignored SIGHUP down.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        **options,
    )

    def begun():
        assert process.poll() is None
        return all((folder / name).is_file() and (folder / name).read_text() for name in "ab")

    wait_until(begun, 120)
    return process


@pytest.mark.parametrize("number", ENDINGS, ids=[number.name for number in ENDINGS])
@pytest.mark.parametrize(
    "script",
    [POOL, BUSY_POOL, COMMAND, OURS, CHAIN, YOSYS, BENCH],
    ids=["pool", "busy-pool", "command", "ours", "chain", "yosys", "bench"],
)
def test_its_children_end_with_a_command(tmp_path, script, number):
    process = start(tmp_path, script)
    children = numbers(tmp_path)
    assert all(map(running, children))
    process.send_signal(number)
    process.wait(60)
    wait_until(lambda: not any(map(running, children)), SECONDS)


@pytest.mark.parametrize("script", [POOL, COMMAND, CHAIN], ids=["pool", "command", "chain"])
def test_a_terminal_that_is_closed_ends_all(tmp_path, script):
    terminal, inside = os.openpty()
    process = start(
        tmp_path,
        "import fcntl, termios\nfcntl.ioctl(0, termios.TIOCSCTTY, 0)\n" + textwrap.dedent(script)
        if script is not POOL
        else textwrap.dedent(script),
        stdin=inside,
        start_new_session=True,
    )
    children = numbers(tmp_path)
    os.close(inside)
    os.close(terminal)
    if script is POOL:  # its workers are started anew from the script: no terminal is taken there
        os.killpg(process.pid, signal.SIGHUP)
    wait_until(lambda: not any(map(running, children)), SECONDS)
    process.wait()


def test_what_the_block_leaves_is_killed_when_it_fails(tmp_path):
    script = """
        from pathlib import Path
        from sw.host import children
        words = "sleep 600 & echo $! > a.new; mv a.new a; echo $$ > b; wait"
        with children.started(["sh", "-c", words]):
            while not Path("b").is_file():
                pass
            input()
            raise ValueError
    """
    process = start(tmp_path, script, stdin=subprocess.PIPE)
    process.communicate(b"\n")
    wait_until(lambda: not any(map(running, numbers(tmp_path))), SECONDS)
