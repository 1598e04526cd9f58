"""Engines limited to an instruction set, so that kernels are compared and not CPUs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harness.bench.contenders import CONTENDERS, OURS, Load
from sim.functional.isa import VARIABLE, available
from sim.reference import ReferenceModel
from sw.errors import DnaError
from sw.graph import Graph
from sw.graph_builder import GraphBuilder, Output, Weights

ONEDNN_VARIABLE = "ONEDNN_MAX_CPU_ISA"
LIMITS: Mapping[str, str] = {
    "avx2": "AVX2",
    "avxvnni": "AVX2_VNNI",
    "avx512vnni": "AVX512_CORE_VNNI",
}
"""What oneDNN, in OpenVINO and PyTorch, calls the instruction sets that kernels here have."""

LIMITED: Mapping[str, tuple[str, ...]] = {
    OURS: tuple(CONTENDERS[OURS]),
    "openvino": tuple(CONTENDERS["openvino"]),
    "torch": ("onednn", "onednn fused"),
}
"""The variants that can be limited. LiteRT and ONNX Runtime take what they find."""

_CHANNELS = 64


def environment(isa: str | None) -> dict[str, str]:
    """The variables that limit every engine that can be limited.

    Raises:
        DnaError: this CPU does not have the instruction set.
    """
    if isa is None:
        return {}
    names = [each.name for each in available()]
    if isa not in names:
        raise DnaError(f"--isa {isa}: this CPU has {', '.join(names) or 'none of them'}")
    return {VARIABLE: isa, ONEDNN_VARIABLE: LIMITS[isa]}


def variants(contender: str, isa: str | None) -> tuple[str, ...]:
    """The variants to try: of a contender that can be limited, those that are."""
    if isa is not None and contender in LIMITED:
        return LIMITED[contender]
    return tuple(CONTENDERS[contender])


def exact(make: Load) -> bool:
    """Whether an engine adds up large products as the contract does, to a step of the result."""
    graph = probe()
    session = make(graph, 1)
    image = np.full(graph.tensors[graph.input].shape, 127, np.int8)
    got = session.decode(session.infer(session.prepare(image)))
    right = ReferenceModel(graph).run(image[None])[0]
    return bool(np.abs(got.astype(int) - right).max() <= 1)


def probe() -> Graph:
    """A convolution of the largest bytes: two products together are more than 16 bits hold.

    Whoever adds them in 16 bits, as ``vpmaddubsw`` does, gives about half of the right value.
    """
    builder = GraphBuilder("input", (1, 1, _CHANNELS), 1.0, -128)
    largest = 255 * 127 * _CHANNELS
    weights = Weights(
        np.full((4, 1, 1, _CHANNELS), 127, np.int8),
        np.zeros(4, np.int32),
        np.full(4, 100 / largest, np.float32),
    )
    return builder.finish(builder.conv2d("conv", "input", weights, Output(1.0, 0)))
