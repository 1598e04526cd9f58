import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from harness.host import workers
from harness.host.workers import run_tasks
from hw.status import Fault
from sim.driver import MachineError
from sw.errors import DnaError
from tests.support.clusters import local_cluster

MANY = 12


def square(number):
    time.sleep(0.02)
    return number * number


def process(_):
    time.sleep(0.05)
    return os.getpid()


def faulty(number):
    if number == 3:
        raise MachineError(Fault.WATCHDOG, 0x77)  # its constructor takes no message
    return number


def buggy(number):
    return 1 // number


def die_once(file):
    """Kills its process the first time that it sees ``file``."""
    time.sleep(0.1)
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def die(_):
    os.kill(os.getpid(), signal.SIGKILL)


def run(function, tasks, *, count=2, scheduler=None):
    """The results by index; each must arrive once."""
    results = {}

    def done(index, result):
        assert index not in results
        results[index] = result

    run_tasks(function, tasks, workers=None if scheduler else count, scheduler=scheduler, done=done)
    return results


@pytest.mark.parametrize("count", [1, 2, None])
def test_every_result_arrives_once(count):
    expected = {index: index * index for index in range(MANY)}
    assert run(square, range(MANY), count=count) == expected


def test_no_task():
    assert run(square, []) == {}


def test_several_processes_and_none_for_one():
    assert os.getpid() not in (seen := set(run(process, range(8)).values()))
    assert len(seen) == 2
    assert set(run(process, range(2), count=1).values()) == {os.getpid()}
    assert set(run(process, range(1), count=4).values()) == {os.getpid()}


@pytest.mark.parametrize("count", [1, 2])
def test_a_fault_of_the_user_arrives_as_such(count):
    with pytest.raises(DnaError, match="WATCHDOG"):
        run(faulty, range(5), count=count)


def test_a_bug_arrives_as_such():
    with pytest.raises(ZeroDivisionError):
        run(buggy, [1, 1, 0, 1])


def test_an_exception_of_done_stops_it():
    def done(index, result):
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_tasks(time.sleep, [0.1, 600, 600], workers=2, scheduler=None, done=done)
    assert time.monotonic() - started < 300


def test_a_process_that_dies_costs_nothing(tmp_path):
    names = [str(number) for number in range(4)]
    results = run(die_once, [str(tmp_path / name) for name in names[:2]] + names_done(tmp_path, 2))
    assert sorted(results) == [0, 1, 2, 3]


def names_done(folder, count):
    """Tasks of ``die_once`` that kill nothing."""
    files = [folder / f"done{number}" for number in range(count)]
    for file in files:
        file.touch()
    return [str(file) for file in files]


def test_a_task_that_kills_every_process_is_named():
    with pytest.raises(DnaError, match=r"3 processes died while they ran .*the bad one"):
        run(die, ["the bad one", "the bad one too"])


def test_ctrl_c_ends_all_processes_without_a_word(tmp_path):
    script = textwrap.dedent("""
        import os, sys, time
        from harness.host.workers import run_tasks

        def task(file):
            open(file, "w").write(str(os.getpid()))
            time.sleep(600)

        if __name__ == "__main__":
            try:
                run_tasks(task, sys.argv[1:], workers=2, scheduler=None, done=print)
            except KeyboardInterrupt:
                sys.exit(130)
    """)
    (tmp_path / "script.py").write_text(script)
    files = [tmp_path / "a", tmp_path / "b"]
    parent = subprocess.Popen(
        [sys.executable, tmp_path / "script.py", *files],
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    while not all(file.is_file() and file.read_text() for file in files):
        assert parent.poll() is None
        time.sleep(0.05)
    os.killpg(parent.pid, signal.SIGINT)
    assert parent.communicate(timeout=60)[1] == b""
    assert parent.returncode == 130
    for file in files:
        with pytest.raises(ProcessLookupError):
            os.kill(int(file.read_text()), 0)


@pytest.fixture(scope="module")
def cluster():
    with local_cluster() as cluster:
        yield cluster


def test_a_cluster_gives_every_result_once(cluster):
    expected = {index: index * index for index in range(MANY)}
    assert run(square, range(MANY), scheduler=cluster.scheduler_address) == expected
    assert len(set(run(process, range(8), scheduler=cluster.scheduler_address).values())) == 2


def test_equal_tasks_run_each(cluster):
    assert len(run(square, [3] * 5, scheduler=cluster.scheduler_address)) == 5


def test_a_worker_killed_in_the_middle_loses_nothing(cluster):
    pids = {}

    def done(index, pid):
        assert index not in pids
        pids[index] = pid
        if len(pids) == MANY // 3:
            os.kill(pid, signal.SIGKILL)

    address = cluster.scheduler_address
    run_tasks(process, range(3 * MANY), workers=None, scheduler=address, done=done)
    assert sorted(pids) == list(range(3 * MANY))


def test_faults_of_the_user_and_bugs_arrive_from_a_cluster(cluster):
    with pytest.raises(DnaError, match="WATCHDOG"):
        run(faulty, range(5), scheduler=cluster.scheduler_address)
    with pytest.raises(ZeroDivisionError):
        run(buggy, [1, 0], scheduler=cluster.scheduler_address)


def test_a_task_that_kills_every_worker_is_named(cluster):
    with pytest.raises(DnaError, match=r"workers of tcp.* died .* while they ran the bad one"):
        run(die, ["the bad one"], scheduler=cluster.scheduler_address)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense", "ftp://a:1", "tcp://[::"])
def test_a_scheduler_that_does_not_answer(monkeypatch, address):
    monkeypatch.setattr(workers, "CONNECT_SECONDS", 0.5)
    with pytest.raises(DnaError, match=r"no Dask scheduler answers at '"):
        run(square, [1], scheduler=address)


NOWHERE = """
import gc, socket, sys
from harness.host import workers
from sw.errors import DnaError

workers.CONNECT_SECONDS = 0.5
silent = socket.create_server(("127.0.0.1", 0))  # takes the connection and never says a word
addresses = [
    *("localhost", "", " ", "127.0.0.1:1", "http://127.0.0.1:1", "tcp://127.0.0.1:1"),
    *("tls://127.0.0.1:1", "ws://127.0.0.1:1", "tcp://127.0.0.1:port", "tcp://127.0.0.1:99999999"),
    *("tcp://", "://", "tcp://no-such-host.invalid:8786", "inproc://1/2/3", "[red]", "a\\nb"),
    f"tcp://127.0.0.1:{silent.getsockname()[1]}",
]
for address in addresses:
    try:
        workers.run_tasks(abs, [1], workers=None, scheduler=address, done=print)
    except DnaError as error:
        assert str(error).startswith(f"no Dask scheduler answers at {address!r} within"), error
        assert len(str(error).splitlines()) == 1
        print("refused")
gc.collect()
"""


def test_nothing_but_a_line_is_said_of_a_scheduler_that_is_nowhere():
    """Not when its client is thrown away, and not at the end of the process either."""
    done = subprocess.run([sys.executable, "-c", NOWHERE], capture_output=True, text=True)
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout == 17 * "refused\n"


def test_a_scheduler_without_workers(monkeypatch):
    monkeypatch.setattr(workers, "WORKERS_SECONDS", 0.2)
    with (
        local_cluster(0) as cluster,
        pytest.raises(DnaError, match="has no worker; start one with `dask worker tcp"),
    ):
        run(square, [1], scheduler=cluster.scheduler_address)


def test_a_limit_of_workers_is_not_for_clusters():
    with pytest.raises(DnaError, match="cannot be limited to 2"):
        run_tasks(square, [1], workers=2, scheduler="tcp://127.0.0.1:1", done=print)


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(DnaError, match=r"\.\[cluster\]"):
        run(square, [1], scheduler="tcp://127.0.0.1:1")


def test_importing_it_imports_no_cluster():
    script = "import sys, harness.host.workers; sys.exit('distributed' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
