"""Which depthwise convolutions the machine's engine for them can compute."""

from __future__ import annotations

from hw.config import DnaConfig
from hw.isa import field_widths
from hw.isa.accesses import parameter_rows
from hw.isa.formats import Opcode
from hw.microarchitecture import DEPTHWISE_COLUMNS, DEPTHWISE_KERNEL
from sw.graph import Graph
from sw.operations import DepthwiseConv2D

_STRIDE = (1 << field_widths(Opcode.DEPTHWISE)["stride"]) - 1
_SHARE = 3
"""Weights may take one in so many words of the feature memory: those of two layers are there."""


def fits(graph: Graph, config: DnaConfig, operation: DepthwiseConv2D) -> bool:
    """Whether the engine can compute ``operation``: whole channels, a window of its size."""
    _, columns, channels = graph.operands(operation)[0].shape
    kernel, stride, padding = operation.kernel, operation.stride, operation.padding
    return (
        config.depthwise_words > 0
        and graph.result(operation).shape[2] == channels
        and stride[0] == stride[1] <= _STRIDE
        and max(kernel) <= DEPTHWISE_KERNEL
        and max(padding.top, padding.bottom) < kernel[0]
        and padding.left < kernel[1]
        and columns <= DEPTHWISE_COLUMNS
        and parameter_words(config, -(-channels // config.rows), kernel)
        <= config.feature_words // _SHARE
    )


def parameter_words(config: DnaConfig, words: int, kernel: tuple[int, int]) -> int:
    """Feature words that weights, bias and scale take, for so many words of a pixel."""
    groups = -(-words // config.depthwise_words)
    return groups * config.depthwise_words * parameter_rows(*kernel)
