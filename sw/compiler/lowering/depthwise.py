"""Which depthwise convolutions the machine's engine for them can compute, and how."""

from __future__ import annotations

from hw.config import DEPTHWISE_SIDE, DnaConfig
from hw.isa import field_widths
from hw.isa.accesses import parameter_words
from hw.isa.formats import Opcode
from hw.microarchitecture import DEPTHWISE_COLUMNS, DEPTHWISE_KERNEL
from sw.compiler.layers import Plane, Window
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
        and parameter_words(config, -(-channels // config.rows), kernel, 0)
        <= config.feature_words // _SHARE
    )


def split_of(config: DnaConfig, source: Plane, target: Plane, window: Window) -> int:
    """Log2 of the neighbouring pixels that share the words of a cycle.

    Pixels whose words do not fill cycles share them, where rows are whole numbers of them. Their
    words are in different banks since a pixel has an odd number of groups.
    """
    group = source.words & -source.words
    if group >= config.depthwise_words:
        return 0
    joint = config.depthwise_words // group
    stride = window.row_stride
    shares = (
        stride <= 2
        and window.kernel_width <= DEPTHWISE_SIDE
        and source.width % joint == 0
        and target.width * stride == source.width
    )
    return joint.bit_length() - 1 if shares else 0
