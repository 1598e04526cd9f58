"""The instruction sets that ``dna bench`` can hold engines to; importing this loads no engine."""

from __future__ import annotations

from collections.abc import Mapping

LIMITS: Mapping[str, str] = {
    "avx2": "AVX2",
    "avxvnni": "AVX2_VNNI",
    "avx512vnni": "AVX512_CORE_VNNI",
}
"""What oneDNN, in OpenVINO and PyTorch, calls the instruction sets that kernels here have."""
