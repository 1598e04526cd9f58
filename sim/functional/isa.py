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
        machine: for the compiler.
        features: what Linux calls the extensions in ``/proc/cpuinfo``.
        lanes: int32 values of a vector.
        vectors: of sums for one pixel, an even number.
        group: pixels of a row that are computed together.
        runs: such groups.
        pairs_saturate: a dot product adds two products in 16 bits, see ``packing.py``.
        signed: a dot product takes its activations less 128.
    """

    name: str
    machine: tuple[str, ...]
    features: frozenset[str]
    lanes: int
    vectors: int
    group: int
    runs: int
    pairs_saturate: bool = False
    signed: bool = False

    @property
    def flags(self) -> tuple[str, ...]:
        """For the compiler."""
        return (
            *self.machine,
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


_AVX512 = ("avx512f", "avx512bw", "avx512vl", "avx512dq")
_ARM = "-march=armv8.2-a+dotprod"

ISAS = (
    Isa(
        "avx512vnni",
        tuple(f"-m{name}" for name in (*_AVX512, "avx512vnni")),
        frozenset({*_AVX512, "avx512_vnni"}),
        lanes=16,
        vectors=2,
        group=7,
        runs=2,
    ),
    # 16 registers: single pixels, wherever they are, fill them whatever the width of a map.
    Isa(
        "avxvnni",
        ("-mavx2", "-mfma", "-mavxvnni"),
        frozenset({"avx2", "fma", "avx_vnni"}),
        lanes=8,
        vectors=2,
        group=1,
        runs=6,
    ),
    Isa(
        "avx2",
        ("-mavx2", "-mfma"),
        frozenset({"avx2", "fma"}),
        lanes=8,
        vectors=2,
        group=1,
        runs=3,
        pairs_saturate=True,
    ),
    # 32 registers, as many loads of activations as they save of weights.
    Isa(
        "i8mm",
        (f"{_ARM}+i8mm",),
        frozenset({"asimddp", "i8mm"}),
        lanes=4,
        vectors=4,
        group=1,
        runs=6,
    ),
    Isa(
        "dotprod",
        (_ARM,),
        frozenset({"asimddp"}),
        lanes=4,
        vectors=4,
        group=1,
        runs=6,
        signed=True,
    ),
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
    names = ("flags", "Features")  # of x86, of Arm
    line = next((line for line in text.splitlines() if line.startswith(names)), "")
    features = set(line.split())
    return tuple(isa for isa in ISAS if features >= isa.features)


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
