"""Independent tasks on processes of this computer, or on the workers of a Dask cluster.

Both keep the same promises: every result arrives once, in the caller's process, as soon as it is
there; a worker that dies costs only the time that its tasks had taken so far; and what is wrong in
a worker is the error that it would be here. Processes of this computer end with the command, even
if that is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import signal
import textwrap
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any, TypeVar

from harness.host import computer
from sw.errors import DnaError
from sw.host import children
from sw.host.extras import needs

if TYPE_CHECKING:
    from distributed import Client

T = TypeVar("T")
R = TypeVar("R")

MOST_DEATHS = 3
"""So many processes may die while they run the same task. (Dask's own limit, by default, too.)"""

CONNECT_SECONDS = 5
WORKERS_SECONDS = 30
"""A cluster that was only just started needs a while until its first worker has joined."""


def run_tasks(
    function: Callable[[T], R],
    tasks: Sequence[T],
    *,
    workers: int | None,
    scheduler: str | None,
    done: Callable[[int, R], None],
) -> None:
    """Call ``function`` with every task.

    Ctrl-C, or anything that ``done`` raises, ends the local processes at once and takes back what
    a cluster has not begun. What a task needs time to set up, and the next one too, belongs into a
    cache of ``function``'s module: an error there is one of the task.

    Args:
        function: of a module, so that other processes can import it; on a cluster the workers need
            the same version of this package. It may run twice with a task if a process died.
        tasks: arguments, and the order in which they start; they are pickled. ``str(task)`` stands
            for a task in messages.
        workers: processes here; as many as CPUs if None. One, or one task, needs no other process.
        scheduler: address of a Dask scheduler, as ``tcp://host:8786``, instead of processes here.
        done: called with the index of a task and its result, in the order of completion.

    Raises:
        DnaError: of the first task that raises one; or processes died again and again; or the
            cluster cannot be used.
    """
    if scheduler is not None:
        if workers is not None:
            raise DnaError(
                f"the workers of the cluster at {scheduler} cannot be limited to {workers}; "
                "leave the number of workers out"
            )
        _run_on_cluster(function, tasks, scheduler, done)
        return
    processes = min(workers or computer.cpus(), len(tasks))
    if processes > 1:
        _run_in_processes(function, tasks, processes, done)
    else:
        for index, task in enumerate(tasks):
            done(index, function(task))


def _call(function: Callable[[T], R], task: T) -> R:
    """What a worker runs. Of a DnaError only its text travels: subclasses may not unpickle."""
    try:
        return function(task)
    except DnaError as error:
        raise DnaError(str(error)) from None


def _name(task: object) -> str:
    return textwrap.shorten(str(task), 60)


def _run_in_processes(
    function: Callable[[T], R], tasks: Sequence[T], processes: int, done: Callable[[int, R], None]
) -> None:
    waiting = deque(range(len(tasks)))
    deaths: Counter[int] = Counter()
    while waiting:
        running: dict[Future[R], int] = {}
        try:
            with _pool(processes) as pool:
                while waiting or running:
                    # No more than can run, so that after a death it is known what was running.
                    while waiting and len(running) < processes:
                        with _interrupts_blocked():
                            future = pool.submit(_call, function, tasks[waiting[0]])
                        running[future] = waiting.popleft()
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        result = future.result()
                        done(running.pop(future), result)
        except BrokenProcessPool as error:
            deaths.update(running.values())
            suspects = [index for index, count in deaths.items() if count == MOST_DEATHS]
            if suspects:
                names = " or ".join(_name(tasks[index]) for index in suspects)
                raise DnaError(
                    f"{MOST_DEATHS} processes died while they ran {names}, perhaps for lack of "
                    "memory; try fewer workers"
                ) from error
            waiting.extendleft(sorted(running.values(), reverse=True))


@contextlib.contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that end with the block: at once if an exception leaves it."""
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        processes, multiprocessing.get_context("spawn"), children.end_with_parent
    )
    try:
        yield pool
    except BaseException:
        for process in set(multiprocessing.active_children()) - before:
            with contextlib.suppress(OSError):
                process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Processes started meanwhile never see Ctrl-C: it is for the parent, which then stops them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run_on_cluster(
    function: Callable[[T], R], tasks: Sequence[T], scheduler: str, done: Callable[[int, R], None]
) -> None:
    client = _connect(scheduler)
    from distributed import KilledWorker, as_completed

    indices: dict[Any, int] = {}
    index = 0
    try:
        for index, task in enumerate(tasks):
            indices[client.submit(_call, function, task, pure=False)] = index
        for future in as_completed(indices, loop=client.loop):
            index = indices[future]
            # Waits once more if the worker died that had the result.
            result = future.result()
            del indices[future]
            done(index, result)
    except KilledWorker as error:
        raise DnaError(
            f"workers of {scheduler} died one after the other while they ran "
            f"{_name(tasks[index])}, perhaps for lack of memory"
        ) from error
    except ImportError as error:
        raise DnaError(
            f"a worker of {scheduler} cannot import what it needs ({error}); install this version "
            "of open-dna where the workers run"
        ) from error
    except (CancelledError, OSError) as error:
        raise DnaError(f"lost the connection to the scheduler at {scheduler}") from error
    finally:
        # What is being computed cannot be stopped, but the rest need not begin.
        with contextlib.suppress(CancelledError, OSError):
            client.cancel(list(indices))
        client.close()


def _connect(scheduler: str) -> Client:
    with needs("cluster", "Dask (distributed)"):
        from distributed import Client, Security
        from distributed.comm import connect

    class Quiet(Client):  # type: ignore[misc]  # it has no types
        """One whose start failed says nothing more when it is thrown away."""

        def __del__(self) -> None:
            pass

    async def knock() -> None:
        """A client that cannot connect leaves threads behind that go on trying: ask first."""
        arguments = Security().get_connection_args("client")
        knocking = connect(scheduler, timeout=CONNECT_SECONDS, **arguments)
        # Its own limit does not hold for what is no scheduler and never answers.
        (await asyncio.wait_for(knocking, CONNECT_SECONDS)).abort()

    try:
        asyncio.run(knock())
        client = Quiet(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:  # TypeError: a protocol that is not set up
        raise DnaError(
            f"no Dask scheduler answers at {scheduler!r} within {CONNECT_SECONDS} s; "
            "start one with `dask scheduler`, and give its address as tcp://host:8786, or as "
            "tls://host:8786 if it asks for certificates"
        ) from error
    try:
        client.wait_for_workers(1, timeout=WORKERS_SECONDS)
    except TimeoutError as error:
        client.close()
        raise DnaError(
            f"the scheduler at {scheduler} has no worker; start one with `dask worker {scheduler}`"
        ) from error
    return client
