"""Runs an integer graph with PyTorch's quantized operators (uint8 activations)."""

from __future__ import annotations

import os
import re
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sim.functional.fusions import fusions
from sw.errors import DnaError
from sw.graph import Graph
from sw.operations import Add, Conv2D, FullyConnected, MaxPool2D, Mean, Operation, Padding, Tensor

Int8 = npt.NDArray[np.int8]

UNSIGNED = 128  # quint8 is int8 plus this
_STDOUT = 1  # where oneDNN writes its log
_IMPLEMENTATION = re.compile(
    r"^onednn_verbose,.*exec,cpu,(?:convolution|inner_product|matmul),([^,]+)", re.MULTILINE
)
quantized = torch.ops.quantized


class TorchModel:
    """A graph as a list of calls of quantized operators, channels last.

    Args:
        graph: what to run.
        threads: of PyTorch's pool.
        back_end: what PyTorch calls a quantized engine.
        fuse: add a residual inside the convolution before it, where that exists.

    Raises:
        DnaError: the back end is not in this build of PyTorch, or has no such operator.
    """

    def __init__(self, graph: Graph, threads: int, *, back_end: str, fuse: bool) -> None:
        if back_end not in torch.backends.quantized.supported_engines:
            raise DnaError(f"this PyTorch has no quantized engine {back_end!r}")
        torch.backends.quantized.engine = back_end
        torch.set_num_threads(threads)
        if len(graph.outputs) > 1:
            raise DnaError("dna bench does not know networks of several outputs in PyTorch")
        self._graph = graph
        self._values: dict[str, torch.Tensor] = {}
        fused = fusions(graph) if fuse else {}
        absorbed = {add.name for add in fused.values()}
        self._calls = [
            (
                (fused.get(operation.name) or operation).output,
                self._call(operation, fused.get(operation.name)),
            )
            for operation in graph.operations
            if operation.name not in absorbed
        ]

    def implementations(self) -> list[str]:
        """What oneDNN computes each convolution and matrix product with, by its own log.

        The model has run before.
        """
        onednn: Any = torch.backends.mkldnn  # its types leave this out
        with tempfile.TemporaryFile("w+") as log, onednn.verbose(onednn.VERBOSE_ON):
            kept = os.dup(_STDOUT)
            os.dup2(log.fileno(), _STDOUT)
            try:
                self.infer(self._values[self._graph.input])
            finally:
                os.dup2(kept, _STDOUT)
                os.close(kept)
            log.seek(0)
            return _IMPLEMENTATION.findall(log.read())

    def prepare(self, image: Int8) -> torch.Tensor:
        """Int8 [height, width, channels] as quint8 [1, channels, height, width], channels last."""
        tensor = self._graph.tensors[self._graph.input]
        values = torch.from_numpy(image.view(np.uint8) ^ np.uint8(UNSIGNED))
        values = values.permute(2, 0, 1)[None].contiguous(memory_format=torch.channels_last)
        made = torch._make_per_tensor_quantized_tensor(
            values, tensor.scale, tensor.zero_point + UNSIGNED
        )
        assert isinstance(made, torch.Tensor)
        return made

    def infer(self, image: torch.Tensor) -> torch.Tensor:
        """Quantized logits of a prepared image."""
        values = self._values
        values[self._graph.input] = image
        with torch.inference_mode():
            for name, call in self._calls:
                values[name] = call()
        return values[self._graph.output]

    def decode(self, logits: torch.Tensor) -> Int8:
        """Int8 [classes]."""
        values: npt.NDArray[np.uint8] = logits.int_repr().numpy().ravel()
        return (values ^ np.uint8(UNSIGNED)).view(np.int8)

    def _call(self, operation: Operation, fused: Add | None) -> Callable[[], torch.Tensor]:
        values = self._values
        target = self._graph.result(fused or operation)
        scale, zero = target.scale, target.zero_point + UNSIGNED
        x = operation.inputs[0]
        relu = getattr(fused or operation, "activation", "none")
        if relu not in ("none", "relu"):
            raise DnaError(f"{operation.name}: PyTorch has no quantized operator with {relu}")
        match operation:
            case Conv2D():
                packed = self._packed_convolution(operation)
                if fused is not None:
                    other = fused.inputs[1 - fused.inputs.index(operation.output)]
                    both = quantized.conv2d_add_relu if relu == "relu" else quantized.conv2d_add
                    return lambda: both(values[x], values[other], packed, scale, zero)
                run = quantized.conv2d_relu.new if relu == "relu" else quantized.conv2d.new
                return lambda: run(values[x], packed, scale, zero)
            case FullyConnected():
                packed = self._packed_linear(operation)
                linear = quantized.linear_relu if relu == "relu" else quantized.linear
                return lambda: linear(values[x].flatten(1), packed, scale, zero)
            case Add():
                y = operation.inputs[1]
                add = quantized.add_relu if relu == "relu" else quantized.add
                return lambda: add(values[x], values[y], scale, zero)
            case MaxPool2D():
                kernel, stride = list(operation.kernel), list(operation.stride)
                padding = _symmetric(operation.name, operation.padding)
                return lambda: torch.max_pool2d(values[x], kernel, stride, padding)
            case Mean():
                return self._mean(operation, target)
            case _:
                raise DnaError(f"{operation.name}: dna bench does not know it in PyTorch")

    def _mean(self, operation: Mean, target: Tensor) -> Callable[[], torch.Tensor]:
        """PyTorch's average keeps its input's scale; a mean that changes it is quantized again."""
        values, x = self._values, operation.inputs[0]
        source = self._graph.operands(operation)[0]
        scale, zero = target.scale, target.zero_point + UNSIGNED
        if (source.scale, source.zero_point) == (target.scale, target.zero_point):
            return lambda: torch.nn.functional.adaptive_avg_pool2d(values[x], 1)
        return lambda: torch.quantize_per_tensor(
            values[x].dequantize().mean((2, 3), keepdim=True), scale, zero, torch.quint8
        )

    def _weights(self, operation: Conv2D | FullyConnected) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights quantized per output channel, and the bias in floating point."""
        scale = self._graph.constant(operation, "weight_scale")
        input_scale = np.float64(self._graph.operands(operation)[0].scale)
        array = torch.from_numpy(self._graph.constant(operation, "weights"))
        if array.ndim == 4:
            array = array.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        elif len(self._graph.operands(operation)[0].shape) == 3:
            raise DnaError(f"{operation.name}: a classifier over a feature map is not supported")
        with warnings.catch_warnings():
            # PyTorch means to drop quantized tensors one day; its int8 speed of today is with them.
            warnings.simplefilter("ignore", UserWarning)
            weights = torch._make_per_channel_quantized_tensor(
                array,
                torch.from_numpy(scale.astype(np.float64)),
                torch.zeros(len(scale), dtype=torch.long),
                0,
            )
        bias = self._graph.constant(operation, "bias") * (input_scale * scale.astype(np.float64))
        return weights, torch.from_numpy(bias.astype(np.float32))

    def _packed_convolution(self, operation: Conv2D) -> Any:
        weights, bias = self._weights(operation)
        padding = _symmetric(operation.name, operation.padding)
        return quantized.conv2d_prepack(weights, bias, list(operation.stride), padding, [1, 1], 1)

    def _packed_linear(self, operation: FullyConnected) -> Any:
        return quantized.linear_prepack(*self._weights(operation))


def _symmetric(name: str, padding: Padding) -> list[int]:
    if padding.top != padding.bottom or padding.left != padding.right:
        raise DnaError(f"{name}: PyTorch cannot pad one side more than the other ({padding})")
    return [padding.top, padding.left]
