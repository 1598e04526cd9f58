"""Runs one LoadGen test from beginning to end, or to an end when it is interrupted."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.loadgen import logs
from harness.loadgen.binding import mlperf_loadgen
from harness.loadgen.systems.qsl import SampleLibrary
from harness.loadgen.systems.sut import System
from sw.errors import DnaError

OUTPUT_ROOT = Path("build/loadgen")
AUDIT_CONFIG = "audit.config"  # LoadGen looks for it in the working directory
POLL_SECONDS = 0.2


def run(
    settings: mlperf_loadgen.TestSettings,
    library: SampleLibrary[Any],
    system: System,
    output: Path,
    tick: Callable[[], None],
    *,
    audit: str = AUDIT_CONFIG,
    finish: Callable[[Path], None] = lambda folder: None,
) -> float:
    """Run LoadGen; its logs appear in ``output`` once it is through, all of them or none.

    LoadGen has a thread of its own, so that an interrupt reaches this one. It cannot be aborted:
    the system then answers what is left at once, and the logs are thrown away.

    Args:
        settings: of the test.
        library: the photographs.
        system: the system under test.
        output: an existing folder.
        tick: called a few times a second, for a progress display.
        audit: LoadGen's settings of a compliance test, if there is such a file.
        finish: called with the folder of the finished logs, before they appear in ``output``.

    Returns:
        Seconds that it took, loading included.

    Raises:
        DnaError: a photograph cannot be used, or the logs cannot be written, or others have
            appeared in ``output`` meanwhile.
        KeyboardInterrupt: after LoadGen has come to its end.
    """
    failures: list[Exception] = []

    def give_up() -> None:
        library.stop()
        system.stop()

    def load(indices: Sequence[int]) -> None:
        try:
            library.load(indices)
        except Exception as error:
            failures.append(error)
            give_up()

    with _unfinished(output) as work:
        sut = mlperf_loadgen.ConstructSUT(system.issue, lambda: None)
        qsl = mlperf_loadgen.ConstructQSL(
            len(library.paths),
            settings.performance_sample_count_override,
            load,
            library.unload,
        )
        # Thread.join takes a thread for dead when an interrupt arrives in it; an event does not.
        done = threading.Event()

        def test() -> None:
            try:
                mlperf_loadgen.StartTestWithLogSettings(
                    sut, qsl, settings, _log_settings(work), audit
                )
            finally:
                done.set()

        thread = threading.Thread(target=test, daemon=True)
        system.start()
        start = time.perf_counter()
        thread.start()
        try:
            while not done.wait(POLL_SECONDS):
                tick()
        except BaseException:
            give_up()
            raise
        finally:
            done.wait()
            thread.join()
            system.close()
            mlperf_loadgen.DestroyQSL(qsl)
            mlperf_loadgen.DestroySUT(sut)
        seconds = time.perf_counter() - start
        for failure in [*failures, *([system.failure] if system.failure else [])]:
            raise failure
        for name in logs.LOGS:
            if not (work / name).is_file():
                raise DnaError(f"LoadGen could not write {name} in {output}")
        finish(work)
        if any((output / name).exists() for name in logs.LOGS):
            raise DnaError(f"another test has written its logs to {output} meanwhile; run it again")
        for name in logs.LOGS:
            os.replace(work / name, output / name)
    return seconds


@contextlib.contextmanager
def new_folder(output: Path | None, scenario: str, accuracy: bool) -> Iterator[Path]:
    """The folder for the logs, never one that holds a test; gone if it is empty afterwards.

    Args:
        output: where; None: a new one below ``OUTPUT_ROOT``.
        scenario: of the test, as ``accuracy``: part of a new folder's place.

    Raises:
        DnaError: it holds logs, or cannot be made.
    """
    root = OUTPUT_ROOT / scenario / ("accuracy" if accuracy else "performance")
    runs = (root / f"run_{number}" for number in itertools.count(1))
    folder = output or next(run for run in runs if not run.exists())
    if any((folder / name).exists() for name in logs.LOGS):
        raise DnaError(f"{folder} holds the logs of another test; choose another --output")
    try:
        folder.mkdir(parents=True, exist_ok=output is not None)
    except OSError as error:
        raise DnaError(f"cannot write {folder}: {error.strerror}") from error
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):  # "not empty" is what it should be
            folder.rmdir()


def _log_settings(folder: Path) -> mlperf_loadgen.LogSettings:
    output = mlperf_loadgen.LogOutputSettings()
    output.outdir = str(folder)
    settings = mlperf_loadgen.LogSettings()
    settings.log_output = output
    settings.enable_trace = False
    return settings


@contextlib.contextmanager
def _unfinished(output: Path) -> Iterator[Path]:
    """A folder inside ``output`` for logs of a test that may not come to its end."""
    try:
        work = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=output))
    except OSError as error:
        raise DnaError(f"cannot write {output}: {error.strerror}") from error
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
