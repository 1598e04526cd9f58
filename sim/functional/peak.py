"""What this CPU's dot products reach in a loop of nothing else: the bound of any kernel."""

from __future__ import annotations

import ctypes
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sim import native
from sim.functional.isa import Isa
from sim.native.declarations import constants

_SOURCE = Path(__file__).with_name("peak.cc")
_FIRST_ROUNDS = 100_000
_SECONDS = 0.2  # of a measurement
_REPEATS = 3


def peak(isa: Isa, threads: int) -> float:
    """Multiply-accumulates of bytes a second, of all threads together; the best of some runs.

    Where several instructions make one dot product (AVX2 takes three), it is all of them.

    Args:
        isa: the instruction set, which this CPU has.
        threads: that compute at once.

    Raises:
        DnaError: the compiler fails or the cache folder cannot be written.
    """
    headers = sorted(_SOURCE.parent.glob("vector*.h"))
    prelude = "#include <cstdint>\n" + constants(isa.constants)
    loop = native.load(native.library(_SOURCE, isa.flags, headers=headers, prelude=prelude))
    loop.dna_peak.argtypes = (ctypes.c_int64,)
    loop.dna_peak.restype = ctypes.c_int64

    def run(rounds: int) -> float:
        start = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            done = sum(pool.map(loop.dna_peak, [rounds] * threads))
        return float(done / (time.perf_counter() - start))

    started = time.perf_counter()
    loop.dna_peak(_FIRST_ROUNDS)
    rounds = int(_FIRST_ROUNDS * _SECONDS / (time.perf_counter() - started))
    return max(run(rounds) for _ in range(_REPEATS))
