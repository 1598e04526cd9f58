"""Engines limited to an instruction set, so that kernels are compared and not CPUs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping

import numpy as np

from harness.bench.contenders import CONTENDERS, OURS, Load
from harness.bench.isas import LIMITS
from sim.functional.isa import VARIABLE, available
from sim.reference import ReferenceModel
from sw.errors import DnaError
from sw.graph import Graph
from sw.graph_builder import GraphBuilder, Output, Weights

ONEDNN_VARIABLE = "ONEDNN_MAX_CPU_ISA"
LIMITED: Mapping[str, tuple[str, ...]] = {
    OURS: tuple(CONTENDERS[OURS]),
    "openvino": tuple(CONTENDERS["openvino"]),
    "torch": ("onednn", "onednn fused"),
}
"""The variants that can be limited. LiteRT and ONNX Runtime take what they find."""

_CHANNELS = 64


@contextlib.contextmanager
def held(isa: str | None) -> Iterator[None]:
    """Hold every engine that can be limited, here and in processes that start meanwhile.

    Raises:
        DnaError: this CPU does not have the instruction set.
    """
    names = [each.name for each in available()]
    if isa is not None and isa not in names:
        raise DnaError(f"--isa {isa}: this CPU has {', '.join(names) or 'none of them'}")
    before = {name: os.environ.get(name) for name in (VARIABLE, ONEDNN_VARIABLE)}
    if isa is not None:
        os.environ.update({VARIABLE: isa, ONEDNN_VARIABLE: LIMITS[isa]})
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


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
