"""Damages artifacts at random: ``python -m tests.sweeps.damage --cases 10000``.

Each must be refused in a line, or be what it then says it is: interpreter, functional model and
reference agree on it. Cases run in child processes, so that one that crashes is counted, too.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import click

from tests.sweeps.damage_cases import Files, Verdict, bases, damaged, judge

Judge = Callable[[int, int, list[Files], Path], Verdict]

BATCH = 500
"""Cases of one child."""

PATIENCE = 60
"""Seconds after which a case hangs."""


def sweep(
    seed: int, cases: int, whole: list[Files], judged_by: Judge = judge
) -> Iterator[tuple[int, Verdict]]:
    """The verdict of every case.

    Args:
        whole: what is damaged.
        judged_by: whatever it does to its process, the next case has another.
    """
    context = multiprocessing.get_context("fork")
    done = 0
    while done < cases:
        ours, theirs = context.Pipe(duplex=False)
        stop = min(cases, done + BATCH)
        child = context.Process(
            target=_examine, args=(seed, done, stop, whole, judged_by, theirs), daemon=True
        )
        child.start()
        theirs.close()
        while done < stop:
            try:
                verdict = ours.recv() if ours.poll(PATIENCE) else None
            except EOFError:
                child.join()
                died = signal.Signals(-child.exitcode).name if child.exitcode < 0 else "an exit"
                verdict = Verdict("crash", died, damaged(seed, done, whole)[1])
                yield done, verdict
                done += 1
                break
            if verdict is None:
                child.kill()
                yield done, Verdict("hangs", f"{PATIENCE} s", damaged(seed, done, whole)[1])
                done += 1
                break
            yield done, verdict
            done += 1
        child.join()
        ours.close()


def _examine(
    seed: int, start: int, stop: int, whole: list[Files], judged_by: Judge, answers: Connection
) -> None:
    for number in range(start, stop):
        with tempfile.TemporaryDirectory() as folder:
            answers.send(judged_by(seed, number, whole, Path(folder)))


@click.command()
@click.option("--cases", default=10_000, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--case", "single", type=int, help="Only this one, in this process.")
def main(cases: int, seed: int, single: int | None) -> None:
    """Damage artifacts, and see that each is refused or is what it says."""
    with tempfile.TemporaryDirectory() as folder:
        whole = bases(Path(folder))
    if single is not None:
        with tempfile.TemporaryDirectory() as folder:
            click.echo(judge(seed, single, whole, Path(folder)))
        return
    started, kinds = time.perf_counter(), Counter[Any]()
    for number, verdict in sweep(seed, cases, whole):
        kinds[verdict.kind] += 1
        kinds["with program"] += verdict.program
        if not verdict.clean:
            click.echo(f"case {number}: {verdict.kind}: {verdict.text} ({verdict.damage})")
    click.echo(
        f"seed {seed}, {cases} cases in {time.perf_counter() - started:.0f} s: "
        + ", ".join(f"{count} {kind}" for kind, count in kinds.most_common() if count)
    )
    sys.exit(any(kinds[kind] for kind in ("differs", "error", "crash", "hangs")))


if __name__ == "__main__":
    main()
