"""Whether a network is the one that MLPerf calls ``resnet50``: by its layers, not by its name."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from sw.artifact import Artifact
from sw.errors import DnaError
from sw.graph import Graph
from sw.models.architecture import CLASSES, EXPANSION, IMAGE, STAGES, VERSIONS, Version
from sw.operations import Add, Conv2D, DepthwiseConv2D, FullyConnected

CONVOLUTIONS, ADDITIONS = 53, 16


class Layer(NamedTuple):
    """A convolution: side of its kernel (0: it is none of ours) and of its output map, channels."""

    kernel: int
    side: int
    inputs: int
    outputs: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.kernel**2 * self.side**2 * self.inputs * self.outputs


def layers(version: Version) -> Counter[Layer]:
    """The convolutions of ResNet50, each with how often it occurs."""
    side = IMAGE[0] // 2
    found = Counter([Layer(7, side, IMAGE[2], STAGES[0][0])])
    side //= 2  # the max-pool
    channels = STAGES[0][0]
    for stage, (width, blocks) in enumerate(STAGES):
        before, side = side, side if stage == 0 else side // 2
        out = EXPANSION * width
        for block in range(blocks):
            first = before if block == 0 and version == "v1.5" else side
            found[Layer(1, first, channels, width)] += 1
            found[Layer(3, side, width, width)] += 1
            found[Layer(1, side, width, out)] += 1
            if block == 0:
                found[Layer(1, side, channels, out)] += 1
            channels = out
    return found


def check(network: Artifact) -> None:
    """Fail if a network is not ResNet50 v1 or v1.5 for ImageNet.

    Raises:
        DnaError: its input is no 224 x 224 x 3, it has not 1000 classes (behind a background, if
            its class offset says so), or its layers are others; the message has both.
    """
    manifest, graph = network.manifest, network.graph
    where = f"{manifest.model} is not ResNet50, which `resnet50` in MLPerf must be:"
    source, target = tuple(manifest.input.shape), manifest.answer_shape
    if source != IMAGE:
        raise DnaError(f"{where} it takes {source}, not {IMAGE}")
    classes = math.prod(target) - (manifest.class_offset or 0)
    if classes != CLASSES:
        raise DnaError(f"{where} it has {classes} classes, not {CLASSES}")
    found = _layers(graph)
    expected = [layers(version) for version in VERSIONS]
    additions = sum(isinstance(operation, Add) for operation in graph.operations)
    dense = sum(isinstance(operation, FullyConnected) for operation in graph.operations)
    if found not in expected or additions != ADDITIONS or dense > 1:
        ours = sum(graph.macs(operation) for operation in _convolutions(graph))
        theirs = " or ".join(
            f"{sum(layer.macs * count for layer, count in version.items()):,}"
            for version in expected
        )
        raise DnaError(
            f"{where} its {found.total()} convolutions with {ours:,} multiply-accumulates and "
            f"{additions} additions are not those {CONVOLUTIONS} with {theirs} and {ADDITIONS}"
        )


def _convolutions(graph: Graph) -> Iterator[Conv2D | DepthwiseConv2D]:
    """All but a classifier that is one, on a map of one pixel."""
    for operation in graph.operations:
        if isinstance(operation, Conv2D | DepthwiseConv2D) and graph.result(operation).shape[0] > 1:
            yield operation


def _layers(graph: Graph) -> Counter[Layer]:
    found: Counter[Layer] = Counter()
    for operation in _convolutions(graph):
        side, width, outputs = graph.result(operation).shape
        shape = graph.constant(operation, "weights").shape
        square = side == width and shape[1] == shape[2] and isinstance(operation, Conv2D)
        found[Layer(shape[1] if square else 0, side, shape[-1], outputs)] += 1
    return found
