"""From a PyTorch network to the integer graph: calibrate, quantize, read what came out.

torchao's PT2E exports the network, observes its activations on calibration images and rewrites it
with quantize and dequantize nodes. Their scales and zero points are all that is taken from it: the
operations between them become those of :mod:`sw.operations`, whose arithmetic is the contract of
docs/numerics.md.
"""

from __future__ import annotations

import itertools
import operator
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.fx import GraphModule, Node
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from sw.errors import DnaError
from sw.frontends import dna_quantizer as rules
from sw.graph import Graph
from sw.graph_builder import GraphBuilder
from sw.numerics import Activation
from sw.operations import Padding, Pair

Array = npt.NDArray[Any]
F32Array = npt.NDArray[np.float32]
Progress = Callable[[str, int], None]

UINT8_TO_INT8 = -128
MAX_BIAS = 2**30
INPUT = "input"

_Q = torch.ops.quantized_decomposed
QUANTIZE = _Q.quantize_per_tensor.default
DEQUANTIZE = _Q.dequantize_per_tensor.default
DEQUANTIZE_CHANNELS = _Q.dequantize_per_channel.default


def quantize(
    model: torch.nn.Module, images: Iterable[F32Array], *, progress: Progress | None = None
) -> Graph:
    """Quantize a network after training.

    Args:
        model: in evaluation mode; float32 [1, C, H, W] to [1, classes], made of convolutions,
            linear layers, batch normalization behind them, ReLU, sums, max-pools, means over the
            whole map and flattening.
        images: float32 [H, W, C], preprocessed; all are read once.
        progress: called with "calibrating" and the number of images done, then with "converting"
            and 0.

    Returns:
        The integer graph; operations are named after the modules that compute them.

    Raises:
        DnaError: an unsupported operator, no image, images of different shapes, NaN or infinity in
            weights or images, or a quantization that the contract does not allow.
    """
    report = progress or (lambda _stage, _done: None)
    _check_finite(model)
    first, stream = _peek(_checked(images))
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # PT2E's own: deprecations inside torch
        exported = torch.export.export(model, (_batch(first),)).module(check_guards=False)
        prepared = prepare_pt2e(exported, rules.DnaQuantizer())
        for done, image in enumerate(stream, 1):
            prepared(_batch(image))
            report("calibrating", done)
        report("converting", 0)
        converted = convert_pt2e(prepared)
    return lower(converted, first.shape)


def lower(converted: GraphModule, shape: tuple[int, ...]) -> Graph:
    """Turn a network that PT2E has converted into the integer graph.

    Args:
        converted: with quantize and dequantize nodes as :class:`DnaQuantizer` places them.
        shape: of one input image, (H, W, C).

    Raises:
        DnaError: see :func:`quantize`.
    """
    return _Lowering(converted, shape).run()


def _check_finite(model: torch.nn.Module) -> None:
    for name, value in itertools.chain(model.named_parameters(), model.named_buffers()):
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise DnaError(f"weights {name!r} hold NaN or infinity")


def _checked(images: Iterable[F32Array]) -> Iterator[F32Array]:
    shape = None
    for number, image in enumerate(images, 1):
        if image.ndim != 3 or (shape and image.shape != shape):
            raise DnaError(
                f"calibration image {number} has shape {list(image.shape)}, expected "
                f"{list(shape) if shape else '[height, width, channels]'}"
            )
        if not np.isfinite(image).all():
            raise DnaError(f"calibration image {number} holds NaN or infinity")
        shape = image.shape
        yield image
    if shape is None:
        raise DnaError("there are no calibration images")


def _peek(images: Iterator[F32Array]) -> tuple[F32Array, Iterator[F32Array]]:
    first = next(images)
    return first, itertools.chain([first], images)


def _batch(image: F32Array) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), np.float32))[None]


class _Quantized(NamedTuple):
    """Arrays of a weighted operation: int8 [out, ...], int32 [out], float32 [out]."""

    weights: Array
    bias: Array
    scale: F32Array


class _Lowering:
    """One walk over the converted network."""

    def __init__(self, converted: GraphModule, shape: tuple[int, ...]) -> None:
        self._module = converted
        self._shape = shape
        self._tensors: dict[Node, str] = {}  # every node's tensor in the integer graph
        self._names: set[str] = {INPUT}
        self._builder: GraphBuilder

    def run(self) -> Graph:
        """Lower every node, in order."""
        for node in self._module.graph.nodes:
            if node.op == "placeholder":
                if self._tensors:
                    raise DnaError(f"the network has a second input, {node.name!r}")
                scale, zero_point = self._quantization(node)
                self._builder = GraphBuilder(INPUT, self._shape, scale, zero_point)
                self._tensors[node] = INPUT
            elif node.op == "output":
                return self._finish(node)
            elif node.op == "call_function":
                self._lower(node)
        raise DnaError("the network has no output")

    def _lower(self, node: Node) -> None:
        target = node.target
        if target is DEQUANTIZE_CHANNELS:  # weights: read where they are used
            return
        if target in (QUANTIZE, DEQUANTIZE) or target in rules.RELU or target in rules.FLATTEN:
            self._tensors[node] = self._input(node)
        elif target in rules.CONVOLUTION:
            self._tensors[node] = self._convolution(node)
        elif target in rules.LINEAR:
            self._tensors[node] = self._linear(node)
        elif target in rules.ADD:
            self._tensors[node] = self._add(node)
        elif target in rules.MEAN:
            self._tensors[node] = self._mean(node)
        elif target in rules.MAX_POOL:
            self._tensors[node] = self._max_pool(node)
        else:
            raise DnaError(f"unsupported operator {rules.name_of(node)} ({target})")

    def _finish(self, node: Node) -> Graph:
        outputs: Any = node.args[0]
        if isinstance(outputs, tuple | list):
            if len(outputs) != 1:
                raise DnaError(f"the network has {len(outputs)} outputs, expected 1")
            outputs = outputs[0]
        return self._builder.finish(self._tensors[outputs])

    def _name(self, node: Node) -> str:
        """The node's name, numbered if a module computes more than once."""
        base = rules.name_of(node)
        names = itertools.chain([base], (f"{base}_{number}" for number in itertools.count(1)))
        name = next(name for name in names if name not in self._names)
        self._names.add(name)
        return name

    def _input(self, node: Node, argument: int = 0) -> str:
        source = node.args[argument]
        assert isinstance(source, Node)
        return self._tensors[source]

    def _quantization(self, node: Node) -> tuple[float, int]:
        """Scale and int8 zero point of a node's result, from the quantize node that reads it."""
        node = rules.fused_relu(node) or node
        for user in node.users:
            if user.target is QUANTIZE:
                _, scale, zero_point, *_ = user.args
                return float(scale), int(zero_point) + UINT8_TO_INT8  # type: ignore[arg-type]
        raise DnaError(f"{rules.name_of(node)}: its result was not quantized")

    def _activation(self, node: Node) -> Activation:
        return "relu" if rules.fused_relu(node) else "none"

    def _array(self, node: Any) -> Array:
        value: torch.Tensor = operator.attrgetter(node.target)(self._module)
        return value.detach().numpy()

    def _quantized(self, node: Node, name: str) -> _Quantized:
        """Weights and bias of a convolution or linear layer.

        A bias is int32 at scale ``s_in * s_w``. Where a channel's weights are so small (or all
        zero) that its bias would not fit, the weights' scale is raised until it does: beside such a
        bias the weights it rounds away are nothing.
        """
        dequantize: Any = node.args[1]
        weights, scale, zero_point = (self._array(source) for source in dequantize.args[:3])
        if zero_point.any():
            raise DnaError(f"{name}: weights must have zero point 0")
        scale = scale.astype(np.float32)
        channels = weights.shape[0]
        given = node.args[2] if len(node.args) > 2 else None
        bias = (self._array(given) if given is not None else np.zeros(channels)).astype(np.float64)
        input_scale = self._builder.tensor(self._input(node)).scale
        narrow = np.abs(bias) > MAX_BIAS * input_scale * scale.astype(np.float64)
        if narrow.any():
            wide = (np.abs(bias) / (MAX_BIAS * input_scale)).astype(np.float32)
            ratio = np.where(narrow, scale / np.where(narrow, wide, 1), 1)
            shape = (channels, *[1] * (weights.ndim - 1))
            weights = np.rint(weights * ratio.reshape(shape)).astype(np.int8)
            scale = np.where(narrow, wide, scale)
        integers = np.rint(bias / (input_scale * scale.astype(np.float64))).astype(np.int64)
        largest = np.abs(integers) + 255 * np.abs(weights.astype(np.int64)).reshape(
            channels, -1
        ).sum(axis=1)
        if largest.max() >= 2**31:
            raise DnaError(
                f"{name}: channel {int(largest.argmax())} can overflow a 32-bit accumulator"
            )
        return _Quantized(weights, integers.astype(np.int32), scale)

    def _convolution(self, node: Node) -> str:
        name = self._name(node)
        stride, padding, dilation, groups = _arguments(node, 3, [1, 1], [0, 0], [1, 1], 1)
        if _pair(dilation) != (1, 1) or groups != 1:
            raise DnaError(
                f"unsupported operator {name}: convolution with dilation {dilation}, "
                f"groups {groups}"
            )
        arrays = self._quantized(node, name)
        scale, zero_point = self._quantization(node)
        return self._builder.conv2d(
            name,
            self._input(node),
            weights=arrays.weights.transpose(0, 2, 3, 1),
            bias=arrays.bias,
            weight_scale=arrays.scale,
            scale=scale,
            zero_point=zero_point,
            stride=_pair(stride),
            padding=_padding(padding),
            activation=self._activation(node),
        )

    def _linear(self, node: Node) -> str:
        name = self._name(node)
        arrays = self._quantized(node, name)
        weights = arrays.weights
        source = self._builder.tensor(self._input(node))
        if len(source.shape) == 3:  # flattened NCHW, while the graph is NHWC
            height, width, channels = source.shape
            weights = weights.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
            weights = weights.reshape(arrays.weights.shape)
        scale, zero_point = self._quantization(node)
        return self._builder.fully_connected(
            name,
            source.name,
            weights=weights,
            bias=arrays.bias,
            weight_scale=arrays.scale,
            scale=scale,
            zero_point=zero_point,
            activation=self._activation(node),
        )

    def _add(self, node: Node) -> str:
        scale, zero_point = self._quantization(node)
        return self._builder.add(
            self._name(node),
            self._input(node, 0),
            self._input(node, 1),
            scale=scale,
            zero_point=zero_point,
            activation=self._activation(node),
        )

    def _mean(self, node: Node) -> str:
        name = self._name(node)
        extent: Any = node.args[1]
        if node.target is rules.aten.mean.dim:
            whole = {axis % 4 for axis in extent} == {2, 3}
        else:
            whole = _pair(extent) == (1, 1)
        if not whole:
            raise DnaError(f"unsupported operator {name}: only the mean over the whole map")
        scale, zero_point = self._quantization(node)
        return self._builder.mean(name, self._input(node), scale=scale, zero_point=zero_point)

    def _max_pool(self, node: Node) -> str:
        name = self._name(node)
        kernel, stride, padding, dilation, ceil = _arguments(node, 1, [], [], [0, 0], [1, 1], False)
        if _pair(dilation) != (1, 1) or ceil:
            raise DnaError(f"unsupported operator {name}: max-pool with dilation or ceil_mode")
        return self._builder.max_pool2d(
            name,
            self._input(node),
            kernel=_pair(kernel),
            stride=_pair(stride or kernel),
            padding=_padding(padding),
        )


def _arguments(node: Node, start: int, *defaults: Any) -> list[Any]:
    """Positional arguments from ``start`` on; those left out have their default."""
    given = list(node.args[start:])
    return given + list(defaults[len(given) :])


def _pair(value: Any) -> Pair:
    height, width = value if len(value) == 2 else (value[0], value[0])
    return int(height), int(width)


def _padding(value: Any) -> Padding:
    vertical, horizontal = _pair(value)
    return Padding(top=vertical, bottom=vertical, left=horizontal, right=horizontal)
