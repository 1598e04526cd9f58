"""The instruction sets that the kernels of ``kernels.cc`` are compiled for, and which one to take.

The environment variable ``DNA_ISA`` limits what is taken: to one of :data:`ISAS` by name, or
``none``, which leaves the network to LiteRT.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import shutil
from pathlib import Path

from sim import native
from sw.errors import DnaError

VARIABLE = "DNA_ISA"
NONE = "none"


@dataclasses.dataclass(frozen=True)
class Isa:
    """An instruction set, and how the kernels use its registers.

    Attributes:
        name: as ``DNA_ISA`` has it.
        extensions: the compiler's name of each extension, and the kernel's (Linux).
        lanes: int32 values of a vector.
        vectors: of sums for one pixel, an even number.
        group: pixels of a row that are computed together.
        runs: such groups.
        pairs_saturate: a dot product adds two products in 16 bits, see ``packing.py``.
    """

    name: str
    extensions: tuple[tuple[str, str], ...]
    lanes: int
    vectors: int
    group: int
    runs: int
    pairs_saturate: bool = False

    @property
    def flags(self) -> tuple[str, ...]:
        """For the compiler."""
        return (
            *(f"-m{name}" for name, _ in self.extensions),
            "-O3",
            "-std=c++17",
            "-ffp-contract=off",  # the contract rounds after every operation
            "-pthread",
        )

    @property
    def constants(self) -> dict[str, int]:
        """For C++."""
        return {
            "kLanes": self.lanes,
            "kVectors": self.vectors,
            "kGroup": self.group,
            "kRuns": self.runs,
            "kFlips": int(self.pairs_saturate),
        }


_AVX2 = ("avx2", "avx2")
_AVX512 = tuple((name, name) for name in ("avx512f", "avx512bw", "avx512vl", "avx512dq"))

ISAS = (
    Isa("avx512vnni", (*_AVX512, ("avx512vnni", "avx512_vnni")), 16, vectors=2, group=7, runs=2),
    # 16 registers: single pixels, wherever they are, fill them whatever the width of a map.
    Isa("avxvnni", (_AVX2, ("avxvnni", "avx_vnni")), 8, vectors=2, group=1, runs=6),
    Isa("avx2", (_AVX2,), 8, vectors=2, group=1, runs=4, pairs_saturate=True),
)
"""The best one first."""


@functools.cache
def available() -> tuple[Isa, ...]:
    """Those that this CPU has, if this machine has a compiler; the best one first."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return ()
    if shutil.which(native.COMPILER) is None:
        return ()
    line = next((line for line in text.splitlines() if line.startswith("flags")), "")
    flags = set(line.split())
    return tuple(isa for isa in ISAS if flags >= {name for _, name in isa.extensions})


def chosen() -> Isa | None:
    """What the kernels are to use; nothing if LiteRT is to run the network.

    Raises:
        DnaError: ``DNA_ISA`` names what this CPU does not have, or what nobody knows.
    """
    names = {isa.name: isa for isa in available()}
    limit = os.environ.get(VARIABLE)
    if not limit:
        return next(iter(names.values()), None)
    if limit == NONE:
        return None
    if limit not in names:
        raise DnaError(
            f"{VARIABLE}={limit}: here are {', '.join((*names, NONE))}; "
            f"what others need is an instruction set of the CPU and {native.COMPILER}"
        )
    return names[limit]
