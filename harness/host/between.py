"""What a host does between two images: a part of the device's latency beside the machine's."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
import numpy as np
import numpy.typing as npt

from sw.program import Program

DRIVER_ACCESSES = 4
"""Register accesses of ``sim.driver`` between an interrupt and the next start: it clears the
interrupt, reads the status, reads it again before the next run, and starts."""

ACCESS_NS = 213.0
"""Assumed of an access: 64 cycles at 300 MHz, as long as one of the ideal memory."""

RUNS = 50


class BetweenImages(msgspec.Struct, frozen=True, kw_only=True):
    """Host time of an image, one image at a time; in none of the machine's cycles.

    Attributes:
        accesses: of the machine's registers by the driver.
        access_ns: that each is assumed to take.
        copy_bytes: of the image, into the memory that the machine reads.
        copy_gb_per_s: at what speed.
        copy_measured: whether that was measured, on this computer.
        softmax_ms: of the outputs, measured on this computer.
        ms: all of it.
        latency_ms: with the machine's.
    """

    accesses: int
    access_ns: float
    copy_bytes: int
    copy_gb_per_s: float
    copy_measured: bool
    softmax_ms: float
    ms: float
    latency_ms: float

    def __str__(self) -> str:
        how = "as measured here" if self.copy_measured else "as given"
        return (
            f"the host, between two images: {self.ms:.3f} ms ({self.accesses} register accesses of "
            f"{self.access_ns:g} ns; {self.copy_bytes:,} bytes of image copied at "
            f"{self.copy_gb_per_s:.1f} GB/s, {how}; softmax {1e3 * self.softmax_ms:.0f} us, "
            f"measured here); with the machine {self.latency_ms:.3f} ms"
        )


def between_images(
    program: Program, machine_ms: float, *, access_ns: float, copy_gb_per_s: float | None
) -> BetweenImages:
    """Measure or take over what the host does for an image of ``program``.

    Args:
        machine_ms: from start to interrupt.
        access_ns: of a register.
        copy_gb_per_s: of the image; None: what this computer copies in its own memory.
    """
    source = program.memory.input
    size = source.region.length // program.images
    image, target = np.ones(size, np.uint8), np.empty(size, np.uint8)
    measured = copy_gb_per_s is None
    if copy_gb_per_s is None:
        copy_gb_per_s = size / _seconds(lambda: np.copyto(target, image)) * 1e-9
    output = program.memory.output
    logits = np.zeros(output.height * output.width * output.channels, np.float32)
    softmax_ms = 1e3 * _seconds(lambda: softmax(logits))
    copied = size / (copy_gb_per_s * 1e6)
    total = DRIVER_ACCESSES * access_ns * 1e-6 + copied + softmax_ms
    return BetweenImages(
        accesses=DRIVER_ACCESSES,
        access_ns=access_ns,
        copy_bytes=size,
        copy_gb_per_s=copy_gb_per_s,
        copy_measured=measured,
        softmax_ms=softmax_ms,
        ms=total,
        latency_ms=machine_ms + total,
    )


def softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Probabilities of the classes, float64 [classes], from logits float32 [classes]."""
    exponentials: npt.NDArray[np.float64] = np.exp(logits.astype(np.float64) - logits.max())
    probabilities: npt.NDArray[np.float64] = exponentials / exponentials.sum()
    return probabilities


def _seconds(work: Callable[[], object]) -> float:
    """The median of some runs."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.median(times))
