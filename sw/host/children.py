"""Child processes that never outlive their parent, however that ends (SIGKILL included).

A command started by :func:`run` gets a watcher: a process that waits at the end of a pipe whose
other end only the parent holds. When the parent is gone the pipe closes, and the watcher kills the
command with all that it has started in turn (g++ starts cc1plus, npm starts node).
A process of :mod:`multiprocessing` calls :func:`end_with_parent` itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import multiprocessing
import multiprocessing.connection
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_FINISHED = b"."

_START = f"""
import os, signal, sys
for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
    signal.signal(number, signal.SIG_DFL)  # Python's own settings would stay with the command
pipe, group = int(sys.argv[1]), sys.argv[2] == "group"
if group:
    os.setpgid(0, 0)
command = os.getpid()
started = os.fork()
if not started:
    if os.fork():
        os._exit(0)
    os.setsid()
    os.closerange(0, pipe)
    os.closerange(pipe + 1, 256)
    if os.read(pipe, 1) != {_FINISHED!r}:
        try:
            (os.killpg if group else os.kill)(command, signal.SIGKILL)
        except OSError:
            pass
    os._exit(0)
os.waitpid(started, 0)
os.close(pipe)
os.execvp(sys.argv[3], sys.argv[3:])
"""
"""Forks the watcher, away from the group and the streams of the command, and becomes the command.
No moment is left in which the command runs without one."""


_running: dict[subprocess.Popen[Any], bool] = {}
"""The commands of :func:`started`, and whether each has a group of its own."""


@contextlib.contextmanager
def started(
    command: Sequence[str | os.PathLike[str]], *, own_group: bool = True, **options: Any
) -> Iterator[subprocess.Popen[Any]]:
    """A command for the length of a block; what is left of it is killed at the end of the block.

    Args:
        command: the program and its arguments.
        own_group: the command has a process group of its own, so that what it started is killed,
            too; Ctrl-C is then for the parent alone. False for a program of ours, which sees
            Ctrl-C itself and looks after its own children.
        options: of :class:`subprocess.Popen`.

    Raises:
        FileNotFoundError: there is no such program; ``filename`` is its name.
        OSError: it cannot be started.
    """
    program, *arguments = [os.fspath(word) for word in command]
    found = shutil.which(program, path=options.get("env", os.environ).get("PATH"))
    if found is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), program)
    watched, held = os.pipe()
    try:
        start = [sys.executable, "-I", "-S", "-c", _START, str(watched)]
        start += ["group" if own_group else "alone", os.path.abspath(found), *arguments]
        process = subprocess.Popen(start, pass_fds=(watched,), **options)
    except BaseException:
        os.close(held)
        raise
    finally:
        os.close(watched)
    try:
        with process:
            try:
                _running[process] = own_group
                yield process
            except BaseException:
                _kill(process, own_group)
                raise
        with contextlib.suppress(OSError):
            os.write(held, _FINISHED)
    finally:
        _running.pop(process, None)
        os.close(held)


def kill_all() -> None:
    """Kill what other threads have started here and wait for; they see it end."""
    for process, own_group in list(_running.items()):
        _kill(process, own_group)


def _kill(process: subprocess.Popen[Any], own_group: bool) -> None:
    if own_group and process.poll() is None:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def run(
    command: Sequence[str | os.PathLike[str]],
    *,
    input: str | None = None,
    capture_output: bool = False,
    own_group: bool = True,
    **options: Any,
) -> subprocess.CompletedProcess[Any]:
    """As :func:`subprocess.run`, of a command that ends with us; arguments as of :func:`started`.

    Without ``input`` the command reads nothing: in a group of its own it may not read the terminal.
    """
    options.setdefault("stdin", subprocess.DEVNULL if input is None else subprocess.PIPE)
    if capture_output:
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with started(command, own_group=own_group, **options) as process:
        output, errors = process.communicate(input)
    return subprocess.CompletedProcess(list(command), process.returncode, output, errors)


def follow(
    command: Sequence[str | os.PathLike[str]], folder: Path, tell: Callable[[str], None]
) -> tuple[int, str]:
    """Run a command in ``folder``, which reads nothing, and give each line to ``tell`` as it comes.

    Returns:
        The exit code, and all that was printed, errors too.
    """
    lines = []
    with started(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            tell(line)
    return process.returncode, "".join(lines)


def end_with_parent() -> None:
    """For a process of :mod:`multiprocessing`, at its start: it is over when its parent is.

    Linux kills it in the middle of anything. Everywhere a thread waits for the parent's end, too:
    Linux only looks at the thread that started the process, and not at what was before this call.
    """
    parent = multiprocessing.parent_process()
    if parent is None:  # not a child: a task that runs in the command itself
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def wait() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=wait, daemon=True, name="end with parent").start()
