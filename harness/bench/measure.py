"""Measures the contenders side by side and checks the functional model's bits in the same run."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from harness.bench import limits
from harness.bench.contenders import CONTENDERS, OURS, joined
from harness.bench.worker import Worker, started
from sim.functional import FunctionalModel
from sim.reference import ReferenceModel
from sw.errors import DnaError
from sw.graph import Graph

Int8 = npt.NDArray[np.int8]
Say = Callable[[str], None]

IMAGES_PER_ROUND = 8
TRIAL_ROUNDS = 3
CHECKED_IMAGES = 4


class Bits(NamedTuple):
    """How many values were compared with the reference and how many differ."""

    values: int
    mismatches: int


class ContenderResult(msgspec.Struct, frozen=True):
    """One contender at one thread count.

    Attributes:
        variant: the fastest one, that was measured.
        rounds: median images per second of each round.
        processors: processor seconds per second while it ran: how many threads it really used.
        logits: values compared with the reference, all images together.
        differing: of those, how many differ.
        agreeing: images whose largest logit is the reference's; None of several outputs.
        kernels: what the engine's own records say that it computes convolutions with.
        exact: its sums of products are right where they are largest.
        limited: it was held to the instruction set that was asked for.
    """

    variant: str
    rounds: list[float]
    processors: float
    logits: int
    differing: int
    agreeing: int | None
    kernels: list[str]
    exact: bool
    limited: bool

    @property
    def images_per_s(self) -> float:
        """Median over the rounds."""
        return statistics.median(self.rounds)


def noise(graph: Graph, count: int) -> Int8:
    """Images to measure with: int8 [count, *input shape], blocks of colour under fine noise."""
    rng = np.random.default_rng(0)
    height, width, channels = graph.tensors[graph.input].shape
    coarse = rng.normal(0, 50, (count, -(-height // 16), -(-width // 16), channels))
    large = coarse.repeat(16, axis=1).repeat(16, axis=2)[:, :height, :width]
    return np.clip(np.rint(large + rng.normal(0, 15, large.shape)), -128, 127).astype(np.int8)


def check_bits(graph: Graph, images: Int8, say: Say) -> tuple[Int8, Bits]:
    """Compare every tensor of the functional model with the reference.

    Returns:
        The reference's outputs, int8 [images, values], and the count of values.
    """
    functional, reference = FunctionalModel(graph), ReferenceModel(graph)
    logits, values, mismatches = [], 0, 0
    for i, image in enumerate(images):
        say(f"checking bits, image {i + 1} of {len(images)}")
        expected, got = reference.run_all(image), functional.run_all(image)
        for name, array in expected.items():
            values += array.size
            mismatches += int(np.count_nonzero(array != got[name]))
        logits.append(joined(expected[name] for name in graph.outputs))
    return np.stack(logits), Bits(values, mismatches)


def compare(
    artifact: Path,
    threads: int,
    rounds: int,
    images: Int8,
    expected: Int8,
    say: Say,
    isa: str | None = None,
    *,
    ranked: bool = True,
) -> tuple[dict[str, ContenderResult], dict[str, str]]:
    """Images per second of every contender with ``threads`` threads and batch 1.

    The contenders take turns, a few images each, so that whatever else the computer does meets
    all of them alike.

    Args:
        images: int8 [images, *input shape].
        expected: the reference's outputs, int8 [images, values].
        ranked: the values are logits of one output, so that the largest one counts.
        isa: the instruction set that engines are held to (:func:`limits.held`), those that can be.

    Returns:
        Results by contender, and of peers that cannot run the network, what they say.

    Raises:
        DnaError: the functional model cannot run the network.
    """
    missing: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        chosen: dict[str, tuple[str, Worker]] = {}
        logits: dict[str, Int8] = {}
        for contender in CONTENDERS:
            say(f"{threads} threads: loading {contender}")
            try:
                variant, worker = _fastest(stack, artifact, contender, threads, images, isa)
            except DnaError as error:
                if contender == OURS:
                    raise
                missing[contender] = str(error)
                continue
            chosen[contender] = (variant, worker)
            logits[contender] = worker.logits(images)
        speeds: dict[str, list[float]] = {contender: [] for contender in chosen}
        wall, processor = dict.fromkeys(chosen, 0.0), dict.fromkeys(chosen, 0.0)
        for index in range(rounds):
            say(f"{threads} threads: round {index + 1} of {rounds}")
            for contender, (_, worker) in chosen.items():
                timing = worker.time(IMAGES_PER_ROUND)
                speeds[contender].append(1 / statistics.median(timing.seconds))
                wall[contender] += sum(timing.seconds)
                processor[contender] += timing.processor_seconds
        kernels = {contender: worker.kernels() for contender, (_, worker) in chosen.items()}
        exact = {contender: worker.exact() for contender, (_, worker) in chosen.items()}
    results = {
        contender: ContenderResult(
            variant=variant,
            rounds=speeds[contender],
            processors=processor[contender] / wall[contender],
            logits=expected.size,
            differing=int(np.count_nonzero(logits[contender] != expected)),
            agreeing=(
                int(np.count_nonzero(logits[contender].argmax(1) == expected.argmax(1)))
                if ranked
                else None
            ),
            kernels=kernels[contender],
            exact=exact[contender],
            limited=isa is not None and contender in limits.LIMITED,
        )
        for contender, (variant, _) in chosen.items()
    }
    return results, missing


def _fastest(
    stack: contextlib.ExitStack,
    artifact: Path,
    contender: str,
    threads: int,
    images: Int8,
    isa: str | None,
) -> tuple[str, Worker]:
    """Start every variant of a contender that loads here and keep the fastest, in ``stack``."""
    candidates: dict[str, tuple[Worker, contextlib.ExitStack]] = {}
    failures = []
    with contextlib.ExitStack() as losers:
        for variant in limits.variants(contender, isa):
            own = losers.enter_context(contextlib.ExitStack())
            try:
                worker = own.enter_context(started(artifact, contender, variant, threads))
                worker.logits(images[:1])
            except DnaError as error:
                failures.append(str(error))
            else:
                candidates[variant] = (worker, own)
        if not candidates:
            raise DnaError(failures[0])
        best = dict.fromkeys(candidates, float("inf"))
        if len(candidates) > 1:
            for _ in range(TRIAL_ROUNDS):
                for variant, (worker, _) in candidates.items():
                    best[variant] = min(best[variant], *worker.time(IMAGES_PER_ROUND).seconds)
        winner = min(candidates, key=lambda variant: best[variant])
        worker, own = candidates[winner]
        stack.enter_context(own.pop_all())
    return winner, worker
