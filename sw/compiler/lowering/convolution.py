"""Convolutions: dense, depthwise with zeros off the diagonal, and fully connected ones."""

from __future__ import annotations

import numpy as np

from sw.compiler.layers import Array, Convolution, Depthwise, Plane, Window
from sw.compiler.lowering.context import LIMITS, Context, check_window, window_of
from sw.compiler.lowering.depthwise import fits, split_of
from sw.compiler.lowering.elementwise import residual, table
from sw.compiler.lowering.packing import pack, packed_parameters, packed_weights
from sw.operations import Conv2D, DepthwiseConv2D, FullyConnected


def conv2d(context: Context, operation: Conv2D, number: int) -> Convolution:
    """A convolution."""
    weights = context.graph.constant(operation, "weights")
    return _windowed(context, operation, number, weights)


def _windowed(
    context: Context, operation: Conv2D | DepthwiseConv2D, number: int, weights: Array
) -> Convolution:
    """A convolution; with a window larger than the machine's, of one place, as one flat pixel."""
    source = context.plane(context.graph.operands(operation)[0])
    target = context.plane(context.graph.result(operation))
    alone = target.height == target.width == 1
    if max(operation.kernel) <= LIMITS["kernel_height"] or not alone:
        return _convolution(context, operation, number, window_of(operation), weights)
    padding = operation.padding
    seen = weights[:, padding.top :, padding.left :][:, : source.height, : source.width]
    whole = np.zeros((len(weights), source.height, source.width, source.channels), np.int8)
    whole[:, : seen.shape[1], : seen.shape[2]] = seen
    flat, weights = _flat(source, whole, context.config.rows)
    return _convolution(context, operation, number, Window(1, 1), weights, flat)


def depthwise_conv2d(
    context: Context, operation: DepthwiseConv2D, number: int
) -> Convolution | Depthwise:
    """A depthwise convolution; where no engine takes it, as a dense one with zeros."""
    if fits(context.graph, context.config, operation):
        return _depthwise(context, operation, number)
    weights = context.graph.dense_weights(operation)
    return _windowed(context, operation, number, weights)


def _depthwise(context: Context, operation: DepthwiseConv2D, number: int) -> Depthwise:
    """A layer of the depthwise engine."""
    graph, common, window = context.graph, context.common(operation, number), window_of(operation)
    return Depthwise(
        **common,
        window=window,
        weights=graph.constant(operation, "weights"),
        bias=graph.constant(operation, "bias"),
        multiplier=graph.constant(operation, "multiplier"),
        fields=_output_fields(context, operation),
        split=split_of(context.config, common["source"], common["target"], window),
    )


def _output_fields(
    context: Context, operation: Conv2D | DepthwiseConv2D | FullyConnected
) -> dict[str, int]:
    """Zero point and bounds of what ``operation`` itself computes."""
    zero_point = context.graph.result(operation).zero_point
    return {"zero_point": zero_point, "lo": operation.lo, "hi": operation.hi}


def fully_connected(context: Context, operation: FullyConnected, number: int) -> Convolution:
    """A convolution whose kernel is the whole input; of a large one, as one flat pixel."""
    source = context.plane(context.graph.operands(operation)[0])
    weights = context.graph.constant(operation, "weights")
    weights = weights.reshape(-1, source.height, source.width, source.channels)
    if max(source.height, source.width) <= LIMITS["kernel_height"]:
        window = Window(source.height, source.width)
        return _convolution(context, operation, number, window, weights)
    flat, weights = _flat(source, weights, context.config.rows)
    return _convolution(context, operation, number, Window(1, 1), weights, flat)


def _flat(source: Plane, weights: Array, rows: int) -> tuple[Plane, Array]:
    """A whole feature map as one pixel, words beyond its channels included."""
    words = source.height * source.row_words
    padded = np.zeros((*weights.shape[:3], source.words * rows), np.int8)
    padded[..., : source.channels] = weights
    plane = Plane(source.tensor, 1, 1, words * rows, words)
    return plane, padded.reshape(len(weights), 1, 1, -1)


def _convolution(
    context: Context,
    operation: Conv2D | DepthwiseConv2D | FullyConnected,
    number: int,
    window: Window,
    weights: Array,
    flat: Plane | None = None,
) -> Convolution:
    """The layer of ``operation``, with what follows it in POST.

    Args:
        weights: int8 [out, kernel height, kernel width, source channels].
        flat: the source in one pixel, if it is seen so.
    """
    graph, config = context.graph, context.config
    common = context.common(operation, number)
    source, target = common["source"], common["target"]
    parameters = {name: graph.constant(operation, name) for name in ("bias", "multiplier")}
    packing = stored = None
    follow = context.follows[operation.output]
    joined = None if follow.joined is None else residual(context, follow.joined)
    if flat is not None:
        stored, common["source"] = source, flat
    elif source.tensor == graph.input and source.channels < config.rows:
        # A pixel that is joined to all pixels is joined to each column by itself.
        one = joined is not None and joined.plane.row_words < target.row_words
        packed = pack(config, source, window, target, several=not one)
        if packed is not None:
            common["source"], window, packing = packed.source, packed.window, packed.packing
            channels = target.words * config.rows
            weights = packed_weights(weights, packing, channels)
            parameters = {
                name: packed_parameters(values, packing, channels)
                for name, values in parameters.items()
            }
    check_window(operation, window)
    common["operations"] = (operation.name, *follow.operations)
    common["target"] = context.plane(graph.tensors[follow.output])
    return Convolution(
        **common,
        window=window,
        weights=weights,
        bias=parameters["bias"],
        multiplier=parameters["multiplier"],
        fields=_output_fields(context, operation),
        residual=joined,
        table=table(follow),
        packing=packing,
        stored=stored,
    )
