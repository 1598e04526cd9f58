"""What the tensors of an ONNX file are: activations, constants, float results on their way."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from sw.errors import DnaError
from sw.frontends.onnx.node import Node
from sw.graph_builder import GraphBuilder, Output
from sw.numerics import Activation
from sw.operators.shapes import MAP_RANK

Array = npt.NDArray[Any]

_AT_THE_END = ("Sigmoid", "QLinearSigmoid")
"""What is the host's behind the logits, and a function within the network."""
_BYTES = (np.dtype(np.int8), np.dtype(np.uint8))


@dataclasses.dataclass(frozen=True)
class Value:
    """A quantized tensor.

    Attributes:
        name: of the graph's tensor.
        flat: whether the file has flattened it since.
        last: whether the file sees its channels last, as the graph does, or saw them so when it
            flattened it.
    """

    name: str
    flat: bool = False
    last: bool = False


@dataclasses.dataclass(frozen=True)
class Source:
    """The float input of the network before it is quantized, its channels first or last."""

    last: bool


@dataclasses.dataclass(frozen=True)
class Hosted:
    """What the host makes of ``value``, behind the network.

    Attributes:
        border: name of the file's tensor that the host begins with.
    """

    value: Value
    border: str


@dataclasses.dataclass(frozen=True)
class Constant:
    """A quantized constant: values, scales (one or one a channel), where those go, zero points."""

    values: Array
    scale: npt.NDArray[np.float32]
    zero_point: Array
    axis: int


@dataclasses.dataclass(frozen=True)
class Pending:
    """A float operator whose result has yet to be quantized.

    Attributes:
        node: it.
        inputs: what it reads.
        activation: behind it.
        part: which of several results.
    """

    node: Node
    inputs: tuple[Any, ...]
    activation: Activation = "none"
    part: int = 0

    def output(self, scale: float, zero_point: int) -> Output:
        """How the result is quantized, with the activation behind the operator."""
        return Output(scale, zero_point, self.activation)


class Values:
    """The tensors of a file by name, as far as they are known.

    Attributes:
        constants: float and integer arrays of the file.
        values: what the nodes made: a :class:`Value`, :class:`Source`, :class:`Hosted`,
            :class:`Constant` or :class:`Pending`.
        quantized: the types of the tensors of bytes, as opposed to the float ones.
        tensors: of the graph by name, the quantized tensors of the file with the same values.
        views: of the graph's results by name, how the file sees those tensors.
        alias: names of tensors that are others under another name.
        moved: by name, float tensors that are quantized values in other places.
        notes: what whoever uses the graph has to know, a sentence each.
    """

    def __init__(self, constants: dict[str, Array]) -> None:
        self.constants = constants
        self.values: dict[str, Any] = {}
        self.builder: GraphBuilder | None = None
        self.tensors: dict[str, str] = {}
        self.views: dict[str, Value] = {}
        self.quantized: dict[str, np.dtype[Any]] = {}
        self.alias: dict[str, str] = {}
        self.moved: dict[str, Value] = {}
        self.notes: list[str] = []

    @property
    def build(self) -> GraphBuilder:
        """The graph so far.

        Raises:
            DnaError: the input has not been quantized yet.
        """
        if self.builder is None:
            raise DnaError("the model's input is not quantized first; nearest: QuantizeLinear")
        return self.builder

    def array(self, node: Node, position: int, what: str) -> Array | None:
        """An input that must be a constant; None if it is left out."""
        name = node.input(position)
        if not name:
            return None
        if name not in self.constants:
            node.refuse(f"{what} that is no constant", f"a constant {what}")
        return self.constants[name]

    def parameters(self, node: Node, position: int) -> tuple[npt.NDArray[np.float32], Array | None]:
        """Scales and zero points that stand at ``position`` and behind it."""
        scales = self.array(node, position, "a scale or zero point")
        zeros = self.array(node, position + 1, "a scale or zero point")
        if scales is None:
            node.refuse(f"input {position}, a scale, is left out", "a scale for every tensor")
        if scales.dtype != np.float32:
            node.refuse("a scale that is not float32", "float32")
        return np.atleast_1d(scales), None if zeros is None else np.atleast_1d(zeros)

    def quantization(
        self, node: Node, position: int, kind: np.dtype[Any] | None = None
    ) -> tuple[float, int, np.dtype[Any]]:
        """Scale, int8 zero point and type of an activation, at ``position`` and behind it.

        Args:
            kind: of its values, where they are there already.
        """
        scales, zeros = self.parameters(node, position)
        zeros = np.zeros(1, kind or np.uint8) if zeros is None else zeros
        if scales.size != 1 or zeros.size != 1:
            node.refuse(f"{scales.size} scales of an activation", "one")
        if zeros.dtype not in _BYTES:
            node.refuse(f"{zeros.dtype} activations", "int8 or uint8")
        if kind is not None and zeros.dtype != kind:
            node.refuse(f"a zero point of {zeros.dtype} for {kind}", "the same type")
        shift = 128 if zeros.dtype == np.uint8 else 0
        return float(scales.reshape(-1)[0]), int(zeros.reshape(-1)[0]) - shift, zeros.dtype

    def check(self, node: Node, value: Value, scale: float, zero_point: int) -> None:
        """Refuse a scale or zero point of an activation that is not the one it has."""
        if not self.build.quantized_as(value.name, scale, zero_point):
            node.refuse("another scale or zero point for the same values", "the same")

    def quantized_constant(self, node: Node, axis: int) -> Array:
        """The bytes of a float constant that a QuantizeLinear reads.

        Args:
            axis: that several scales belong to.
        """
        values = self.constants[node.input(0)]
        scales, zeros = self.parameters(node, 1)
        if values.dtype != np.float32 or zeros is None or zeros.dtype not in _BYTES:
            node.refuse(f"a constant of {values.dtype} without the type of its bytes", "float32")
        shape = [1] * values.ndim
        if scales.size > 1:
            if not -values.ndim <= axis < values.ndim or scales.shape != (values.shape[axis],):
                node.refuse(f"{scales.size} scales along axis {axis}", "one, or one a channel")
            shape[axis] = -1
        if zeros.shape != scales.shape:
            node.refuse(f"{scales.size} scales and {zeros.size} zero points", "as many of both")
        with np.errstate(all="ignore"):
            steps = np.rint(values / scales.reshape(shape)) + zeros.reshape(shape)
        if not np.isfinite(steps).all():
            node.refuse("a constant with infinite values", "finite ones")
        limits = np.iinfo(zeros.dtype)
        held: Array = np.clip(steps, limits.min, limits.max).astype(zeros.dtype)
        return held

    def constant(self, node: Node, name: str, position: int, axis: int) -> Constant:
        """A quantized constant with the scales and zero points at ``position`` and behind it.

        Args:
            axis: that several scales belong to.
        """
        if name not in self.constants:
            node.refuse(f"{name!r} is no constant", "constant weights")
        scales, zeros = self.parameters(node, position)
        values = self.constants[name]
        zeros = np.zeros(scales.shape, values.dtype) if zeros is None else zeros
        if zeros.shape != scales.shape:
            shapes = f"scales {list(scales.shape)} and zero points {list(zeros.shape)}"
            node.refuse(shapes, "one of both, or one a channel")
        if zeros.dtype != values.dtype:
            node.refuse(f"a zero point of {zeros.dtype} for {values.dtype}", "the same type")
        if values.dtype == np.uint8:  # the same with 128 less
            values, zeros = (values ^ 128).view(np.int8), zeros.astype(np.int64) - 128
        return Constant(values, scales.reshape(-1), zeros, axis)

    def read(self, node: Node, name: str) -> Value:
        """A quantized activation."""
        value = self.values.get(name)
        if isinstance(value, Hosted):
            node.refuse(f"it reads what the host computes ({name!r})", "that at the end only")
        if isinstance(value, Pending | Source):
            node.refuse(f"{name!r} is float within the network", "QDQ around every operator")
        if not isinstance(value, Value):
            node.refuse(f"{name!r} is not a quantized activation", "one")
        return value

    def operand(self, node: Node, name: str) -> Any:
        """What an operator reads: a quantized activation or a constant, float ones included."""
        if name in self.values and not isinstance(self.values[name], Constant):
            return self.read(node, name)
        if name in self.values:
            return self.values[name]
        if name not in self.constants:
            node.refuse(f"{name!r} is float within the network", "QDQ around every operator")
        return self.constants[name]

    def axes(self, node: Node) -> list[int] | None:
        """Axes as an input or, as they were once, an attribute."""
        given = self.array(node, 1, "axes")
        axes = node.attribute("axes", None)
        return axes if given is None else [int(axis) for axis in given.reshape(-1)]

    def spelled(self, node: Node) -> str:
        """What the table of operators calls a node."""
        if node.kind == "Resize":
            return f"Resize ({node.attribute('mode', 'nearest')})"
        if node.kind in _AT_THE_END and self._is_map(node.input(0)):
            return f"{node.kind} (of a map)"
        groups = node.attribute("group", 1) if node.kind in ("Conv", "QLinearConv") else 1
        if groups == 1:
            return node.kind
        value = self.values.get(node.input(0))
        channels = self.build.tensor(value.name).shape[-1] if isinstance(value, Value) else 0
        return f"{node.kind} ({'group = channels' if groups == channels else 'groups'})"

    def _is_map(self, name: str) -> bool:
        """Whether a tensor is a feature map, and not a row of logits."""
        value = self.values.get(name)
        return isinstance(value, Value) and not value.flat and self._rank(value) == MAP_RANK

    def _rank(self, value: Value) -> int:
        return len(self.build.tensor(value.name).shape)

    def activation_input(self, node: Node, position: int) -> Value:
        """An activation with its scale and zero point behind it, which must be those it has."""
        name = node.input(position)
        value = self.read(node, name)
        self.check_read(node, value, position)
        return value

    def check_read(self, node: Node, value: Value, position: int) -> None:
        """Refuse an activation at ``position`` that is float, or is read with other parameters."""
        kind = self.quantized.get(node.input(position))
        if kind is None:
            node.refuse(f"{node.input(position)!r} is float", "the tensor behind a QuantizeLinear")
        self.check(node, value, *self.quantization(node, position + 1, kind)[:2])
