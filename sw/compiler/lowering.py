"""Graph to layers: what the machine runs as one loop nest, and which operations that covers.

- Convolution, and fully connected as a convolution whose kernel is the whole input.
- An addition joins the convolution that computes one of its operands, if nothing else needs that
  operand and the other one is there before. Otherwise it becomes a convolution of its own with the
  identity matrix: accumulator ``x - zero_point``, multiplier 1 and the zero point added again give
  every x back exactly, and the addition follows as usual.
- A depthwise convolution as a plain one whose weights are zero off the diagonal.
- Max-pool and mean; an average-pool is a mean of each of its windows, or of the whole map.

A convolution that reads the network's input, when that has fewer channels than a feature word, gets
each row of its kernel as one packed window: LOAD does the horizontal half of the convolution. A
window that leaves its feature words room reaches on to the next output columns, whose channels
become further ones of the same pixel (their weights are zero but for their part of the window).
In feature memory the neighbours' pixels follow each other without gaps, so the result is the same.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hw.config import DnaConfig
from hw.isa import FORMATS, Opcode
from sw.errors import DnaError
from sw.graph import Graph
from sw.numerics import INT8_MAX, INT8_MIN, average_multiplier
from sw.operations import (
    Add,
    AveragePool2D,
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    MaxPool2D,
    Mean,
    Operation,
    Tensor,
    Windowed,
)

Array = npt.NDArray[Any]

OVERLAP_CHUNKS = 6
"""Windows of a LOAD may overlap by this many DRAM words or ``lanes`` bytes, whichever is more."""

_LIMITS = {
    field.name: field.range[1]
    for opcode in (Opcode.LOAD, Opcode.CONV, Opcode.POST)
    for field in FORMATS[opcode].fields
}


@dataclasses.dataclass(frozen=True)
class Plane:
    """A feature map as the machine holds it: pixels of whole feature words."""

    tensor: str
    height: int
    width: int
    channels: int
    words: int

    @property
    def row_words(self) -> int:
        """Feature words of a row."""
        return self.width * self.words


@dataclasses.dataclass(frozen=True)
class Window:
    """A sliding window over a source plane."""

    kernel_height: int
    kernel_width: int
    row_stride: int = 1
    column_stride: int = 1
    pad_top: int = 0
    pad_left: int = 0


@dataclasses.dataclass(frozen=True)
class Packing:
    """How LOAD cuts each row of the network's input into the pixels of a packed source.

    Attributes:
        window_bytes, window_step, window_lead: as in the instruction.
        columns: neighbouring output columns that a window serves.
    """

    window_bytes: int
    window_step: int
    window_lead: int
    columns: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layer:
    """One loop nest.

    Attributes:
        number: position in the program.
        operations: names of what it computes.
        source, target: what it reads and writes.
        window: how the source is seen; of a mean, the whole.
        zero_point: of the source, and so of its padding.
        macs: multiply-accumulates.
    """

    number: int
    operations: tuple[str, ...]
    source: Plane
    target: Plane
    window: Window
    zero_point: int
    macs: int

    kind: ClassVar[str]

    @property
    def name(self) -> str:
        """The operations, joined."""
        return "+".join(self.operations)

    @property
    def operands(self) -> tuple[Plane, ...]:
        """What it reads."""
        return (self.source,)


@dataclasses.dataclass(frozen=True)
class Residual:
    """The other operand of a fused addition, and the fields of POST that describe it."""

    plane: Plane
    fields: dict[str, int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Convolution(Layer):
    """A convolution with whatever follows it in the post-processing stream.

    Attributes:
        weights: int8 [out, kernel height, kernel width, source channels]; ``out`` are the channels
            of ``computed``.
        bias: int32 [out].
        multiplier: float32 [out].
        fields: of POST: zero point and bounds of the convolution's own output.
        residual: the fused addition.
        packing: of a packed source.
        stored: the feature map as it is kept, where ``source`` is that map in one flat pixel.
    """

    weights: Array
    bias: Array
    multiplier: Array
    fields: dict[str, int]
    residual: Residual | None
    packing: Packing | None
    stored: Plane | None = None
    kind = "conv"

    @property
    def operands(self) -> tuple[Plane, ...]:
        """What it reads."""
        return (self.source,) if self.residual is None else (self.source, self.residual.plane)

    @property
    def computed(self) -> Plane:
        """The target as CONV and POST see it: the columns that a window serves are one pixel."""
        columns = 1 if self.packing is None else self.packing.columns
        return dataclasses.replace(
            self.target,
            width=self.target.width // columns,
            channels=len(self.weights),
            words=self.target.words * columns,
        )

    @property
    def slices(self) -> int:
        """K-slices: feature words under the window."""
        return self.window.kernel_height * self.window.kernel_width * self.source.words


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaxPool(Layer):
    """A max-pool."""

    kind = "max_pool"

    @property
    def row_by_row(self) -> bool:
        """Whether each output row is an instruction: those have one stride for both directions."""
        return self.window.row_stride != self.window.column_stride


@dataclasses.dataclass(frozen=True, kw_only=True)
class AveragePool(Layer):
    """An average-pool whose windows are means of their own."""

    kind = "average_pool"


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeanPool(Layer):
    """A mean over height and width; the two numbers are float32 values."""

    multiplier: float
    offset: float
    kind = "mean"


def lower(graph: Graph, config: DnaConfig) -> list[Layer]:
    """The layers of ``graph`` in the order in which they run.

    Raises:
        DnaError: an operation has no counterpart in the instruction set.
    """
    return _Lowering(graph, config).layers()


class _Lowering:
    def __init__(self, graph: Graph, config: DnaConfig) -> None:
        self.graph = graph
        self.rows = config.rows
        self.tile_pixels = config.accumulation_depth
        self.overlap = OVERLAP_CHUNKS * max(config.dram_bytes_per_cycle, config.lanes)
        self.fused = _fused_additions(graph)

    def layers(self) -> list[Layer]:
        if self.graph.input == self.graph.output:
            raise DnaError("the network has no operation: its output is its input")
        absorbed = {add.name for add, _ in self.fused.values()}
        layers: list[Layer] = []
        for operation in self.graph.operations:
            if operation.name not in absorbed:
                layers.append(self._layer(operation, len(layers)))
        return layers

    def plane(self, tensor: Tensor) -> Plane:
        height, width, channels = tensor.shape if len(tensor.shape) == 3 else (1, 1, *tensor.shape)
        return Plane(tensor.name, height, width, channels, -(-channels // self.rows))

    def _layer(self, operation: Operation, number: int) -> Layer:
        match operation:
            case Conv2D() | DepthwiseConv2D() | FullyConnected():
                return self._convolution(operation, number)
            case Add():
                return self._addition(operation, number)
            case MaxPool2D():
                window = _window(operation)
                _check_window(operation, window)
                return MaxPool(**self._common(operation, number), window=window)
            case AveragePool2D():
                return self._average_pool(operation, number)
            case Mean():
                common = self._common(operation, number)
                source = common["source"]
                return MeanPool(
                    **common,
                    window=Window(source.height, source.width),
                    multiplier=operation.multiplier,
                    offset=operation.offset,
                )

    def _common(self, operation: Operation, number: int) -> dict[str, Any]:
        source = self.graph.operands(operation)[0]
        return {
            "number": number,
            "operations": (operation.name,),
            "source": self.plane(source),
            "target": self.plane(self.graph.result(operation)),
            "zero_point": source.zero_point,
            "macs": self.graph.macs(operation),
        }

    def _average_pool(self, operation: AveragePool2D, number: int) -> Layer:
        common = self._common(operation, number)
        source, target = common["source"], common["target"]
        window = _window(operation)
        seen = (window.kernel_height - window.pad_top, window.kernel_width - window.pad_left)
        if (target.height, target.width) == (1, 1) and (
            seen[0] >= source.height and seen[1] >= source.width
        ):
            elements = source.height * source.width
            return MeanPool(
                **common,
                window=Window(source.height, source.width),
                multiplier=float(average_multiplier(elements, operation.name)),
                offset=0.0,
            )
        return AveragePool(**common, window=window)

    def _convolution(
        self, operation: Conv2D | DepthwiseConv2D | FullyConnected, number: int
    ) -> Convolution:
        common = self._common(operation, number)
        source = common["source"]
        parameters = {name: self.graph.constant(operation, name) for name in ("bias", "multiplier")}
        stored = packing = None
        if isinstance(operation, FullyConnected):
            window = Window(source.height, source.width)
            weights = self.graph.constant(operation, "weights")
            weights = weights.reshape(-1, source.height, source.width, source.channels)
            if max(source.height, source.width) > _LIMITS["kernel_height"]:
                stored = source
                source, window, weights = self._flat(source, weights)
        else:
            window = _window(operation)
            weights = (
                self.graph.constant(operation, "weights")
                if isinstance(operation, Conv2D)
                else self.graph.dense_weights(operation)
            )
        if stored is None and source.tensor == self.graph.input and source.channels < self.rows:
            source, window, packing = self._packed(source, window, common["target"])
        if packing is not None:
            weights = weights.reshape(*weights.shape[:2], 1, -1)
            if packing.columns > 1:
                channels = common["target"].words * self.rows
                weights = _repeated_weights(weights, packing, channels)
                parameters = {
                    name: np.tile(np.pad(values, (0, channels - len(values))), packing.columns)
                    for name, values in parameters.items()
                }
        _check_window(operation, window)
        residual = None
        if operation.output in self.fused:
            addition, position = self.fused[operation.output]
            residual = self._residual(addition, position)
            common["operations"] = (operation.name, addition.name)
            common["target"] = self.plane(self.graph.result(addition))
        return Convolution(
            **{**common, "source": source},
            window=window,
            weights=weights,
            bias=parameters["bias"],
            multiplier=parameters["multiplier"],
            fields={
                "zero_point": self.graph.result(operation).zero_point,
                "lo": operation.lo,
                "hi": operation.hi,
            },
            residual=residual,
            packing=packing,
            stored=stored,
        )

    def _flat(self, source: Plane, weights: Array) -> tuple[Plane, Window, Array]:
        """A whole feature map as one pixel, words beyond its channels included."""
        words = source.height * source.row_words
        padded = np.zeros((*weights.shape[:3], source.words * self.rows), np.int8)
        padded[..., : source.channels] = weights
        plane = Plane(source.tensor, 1, 1, words * self.rows, words)
        return plane, Window(1, 1), padded.reshape(len(weights), 1, 1, -1)

    def _packed(
        self, source: Plane, window: Window, target: Plane
    ) -> tuple[Plane, Window, Packing | None]:
        """The source and window of a convolution whose kernel rows LOAD packs."""
        packing = Packing(
            window_bytes=window.kernel_width * source.channels,
            window_step=window.column_stride * source.channels,
            window_lead=window.pad_left * source.channels,
        )
        if target.width == 1:  # there is no next window
            packing = dataclasses.replace(packing, window_step=packing.window_bytes)
        if (
            window.kernel_width == 1
            or packing.window_lead > _LIMITS["window_lead"]
            or packing.window_bytes > packing.window_step + self.overlap
        ):
            return source, window, None
        words = -(-packing.window_bytes // self.rows)
        columns = self._columns(packing, words * self.rows, target)
        packing = Packing(
            window_bytes=packing.window_bytes + (columns - 1) * packing.window_step,
            window_step=columns * packing.window_step,
            window_lead=packing.window_lead,
            columns=columns,
        )
        packed = Plane(
            source.tensor, source.height, target.width // columns, packing.window_bytes, words
        )
        narrow = dataclasses.replace(window, kernel_width=1, column_stride=1, pad_left=0)
        return packed, narrow, packing

    def _columns(self, packing: Packing, room: int, target: Plane) -> int:
        """How many output columns can share a window of at most ``room`` bytes.

        At least one tile stays full: shorter ones, for more channels, would not hide how long the
        weights of a pass take.
        """
        most = 1 + (room - packing.window_bytes) // packing.window_step
        most = min(
            most,
            target.height * target.width // self.tile_pixels,
            _LIMITS["out_words"] // target.words,
        )
        return max((n for n in range(2, most + 1) if target.width % n == 0), default=1)

    def _addition(self, operation: Add, number: int) -> Convolution:
        """An addition by itself: the identity of its first operand plus the second."""
        common = self._common(operation, number)
        channels = common["source"].channels
        return Convolution(
            **common,
            window=Window(1, 1),
            weights=np.eye(channels, dtype=np.int8).reshape(channels, 1, 1, channels),
            bias=np.zeros(channels, np.int32),
            multiplier=np.ones(channels, np.float32),
            fields={"zero_point": common["zero_point"], "lo": INT8_MIN, "hi": INT8_MAX},
            residual=self._residual(operation, 0),
            packing=None,
        )

    def _residual(self, addition: Add, position: int) -> Residual:
        """The operand of ``addition`` that is not at ``position``."""
        other = self.graph.operands(addition)[1 - position]
        return Residual(
            self.plane(other),
            {
                "multiplier": addition.multipliers[position],
                "res_multiplier": addition.multipliers[1 - position],
                "shift": addition.shift,
                "res_zero_point": other.zero_point,
                "sum_zero_point": self.graph.result(addition).zero_point,
                "sum_lo": addition.lo,
                "sum_hi": addition.hi,
            },
        )


def _repeated_weights(weights: Array, packing: Packing, channels: int) -> Array:
    """Weights [out, height, 1, bytes] once for each column, where its part of the window is.

    Args:
        channels: of each column, those that fill its last feature word included.
    """
    outputs, height, _, row_bytes = weights.shape
    repeated = np.zeros((packing.columns, channels, height, 1, packing.window_bytes), np.int8)
    for column, its_weights in enumerate(repeated):
        start = column * (packing.window_step // packing.columns)
        its_weights[:outputs, ..., start : start + row_bytes] = weights
    return repeated.reshape(-1, height, 1, packing.window_bytes)


def _window(operation: Windowed) -> Window:
    padding = operation.padding
    return Window(*operation.kernel, *operation.stride, padding.top, padding.left)


def _check_window(operation: Operation, window: Window) -> None:
    fields = {
        "kernel_height": window.kernel_height,
        "kernel_width": window.kernel_width,
        "stride": max(window.row_stride, window.column_stride),
        "pad_top": window.pad_top,
        "pad_left": window.pad_left,
    }
    for name, value in fields.items():
        if value > _LIMITS[name]:
            raise DnaError(
                f"{operation.name}: {name.replace('_', ' ')} {value} is too large for the "
                f"machine; at most {_LIMITS[name]}"
            )


def _fused_additions(graph: Graph) -> dict[str, tuple[Add, int]]:
    """For the output of each convolution that an addition joins: the addition, and which operand.

    The two operands of an addition are written by two operations (or one is the input); only the
    later one can take the addition along, because only then is the other one there.
    """
    uses = Counter(name for operation in graph.operations for name in operation.inputs)
    uses[graph.output] += 1
    written = {operation.output: n for n, operation in enumerate(graph.operations)}
    fused = {}
    for addition in graph.operations:
        if not isinstance(addition, Add):
            continue
        order = [written.get(name, -1) for name in addition.inputs]
        position = order.index(max(order))
        name = addition.inputs[position]
        if (
            name in written
            and uses[name] == 1
            and isinstance(
                graph.operations[order[position]], Conv2D | DepthwiseConv2D | FullyConnected
            )
        ):
            fused[name] = (addition, position)
    return fused
