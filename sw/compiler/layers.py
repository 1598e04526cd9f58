"""Layers: what the machine runs as one loop nest each, and the feature maps between them."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hw.isa import TablePlace

Array = npt.NDArray[Any]

CHANNEL_PARAMETERS = np.dtype([("bias", "<i4"), ("scale", "<f4")])
"""What the machine takes for each output channel of a convolution, besides its weights."""


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

    def by_words(self, channels: int) -> Plane:
        """The same words, each of them a pixel of so many channels."""
        return dataclasses.replace(self, width=self.row_words, channels=channels, words=1)


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


@dataclasses.dataclass(frozen=True)
class Area:
    """Some pixels of a map, ``row`` and ``column`` the first, and where in the target they go."""

    row: int
    column: int
    rows: int
    columns: int
    to_row: int = 0
    to_column: int = 0


@dataclasses.dataclass(frozen=True)
class Part:
    """Some words of every pixel of a map, and to which word of the target's pixels they go.

    Of not all of the map, or to not all of the target, with ``area``.
    """

    plane: Plane
    first: int
    words: int
    at: int
    area: Area | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoopNest:
    """What all layers have.

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

    @property
    def gathered(self) -> tuple[Plane, ...]:
        """Of these maps POOL copies parts, each map once."""
        return ()

    @property
    def whole(self) -> bool:
        """Whether rows go to other rows, so that there are no stripes."""
        return False

    @property
    def repeated(self) -> Plane | None:
        """The other operand, if it is one pixel for all of the target."""
        return None

    @functools.cached_property
    def tensors(self) -> frozenset[str]:
        """Names of what it reads and writes."""
        return frozenset(plane.tensor for plane in (*self.operands, self.target))


@dataclasses.dataclass(frozen=True)
class Residual:
    """The other operand of a fused addition, and the fields of POST that describe it.

    Its plane is that of the target, or one pixel of it.
    """

    plane: Plane
    fields: dict[str, int]


@dataclasses.dataclass(frozen=True)
class Table:
    """A function in POST: int8 [256] by the byte of a value, read as unsigned, and where."""

    values: Array
    place: TablePlace


@dataclasses.dataclass(frozen=True, kw_only=True)
class Convolution(LoopNest):
    """A convolution with whatever follows it in the post-processing stream.

    Attributes:
        weights: int8 [out, kernel height, kernel width, source channels]; ``out`` are the channels
            of ``computed``.
        bias: int32 [out].
        multiplier: float32 [out].
        fields: of POST: zero point and bounds of the convolution's own output.
        residual: the fused addition.
        table: a function in front of that or behind it.
        gather: parts of maps that make up the source, which is nowhere else.
        packing: of a packed source.
        stored: the feature map as it is kept, where ``source`` is that map in one flat pixel.
        by_words: each word of the maps is a pixel of its own, and the weights are for the channels
            of one word.
    """

    weights: Array
    bias: Array
    multiplier: Array
    fields: dict[str, int]
    residual: Residual | None
    table: Table | None = None
    gather: tuple[Part, ...] = ()
    packing: Packing | None = None
    stored: Plane | None = None
    by_words: bool = False
    kind = "conv"

    @property
    def operands(self) -> tuple[Plane, ...]:
        """What it reads."""
        residual = () if self.residual is None else (self.residual.plane,)
        return (self.source, *residual, *self.gathered)

    @property
    def gathered(self) -> tuple[Plane, ...]:
        """Of these maps POOL copies parts, each map once."""
        return tuple(dict.fromkeys(part.plane for part in self.gather))

    @property
    def repeated(self) -> Plane | None:
        """The other operand, if it is one pixel for all of the target."""
        plane = None if self.residual is None else self.residual.plane
        if (
            plane is None
            or plane.height * plane.row_words == self.target.height * self.target.row_words
        ):
            return None
        return plane

    @property
    def repeated_columns(self) -> int:
        """Pixels, as CONV sees them, of what is joined to all of the target."""
        assert self.repeated is not None, "there is such an operand"
        return self.repeated.row_words if self.by_words else self.repeated.width

    @functools.cached_property
    def seen(self) -> Plane:
        """The source as CONV sees it."""
        return self.source.by_words(len(self.weights)) if self.by_words else self.source

    @functools.cached_property
    def computed(self) -> Plane:
        """The target as CONV and POST see it: the columns that a window serves are one pixel."""
        if self.by_words:
            return self.target.by_words(len(self.weights))
        columns = 1 if self.packing is None else self.packing.columns
        return dataclasses.replace(
            self.target,
            width=self.target.width // columns,
            channels=len(self.weights),
            words=self.target.words * columns,
        )

    def joined(self, neighbours: int) -> Plane:
        """``computed`` with so many neighbouring pixels as one; its channels are those of each."""
        plane = self.computed
        return dataclasses.replace(
            plane, width=plane.width // neighbours, words=plane.words * neighbours
        )

    @property
    def slices(self) -> int:
        """K-slices: feature words under the window."""
        return self.window.kernel_height * self.window.kernel_width * self.seen.words


@dataclasses.dataclass(frozen=True, kw_only=True)
class Depthwise(LoopNest):
    """A depthwise convolution on the engine for them.

    Attributes:
        weights: int8 [channels, kernel height, kernel width].
        bias: int32 [channels].
        multiplier: float32 [channels].
        fields: zero point and bounds of the output.
        split: log2 of the neighbouring pixels that share the words of a cycle.
    """

    weights: Array
    bias: Array
    multiplier: Array
    fields: dict[str, int]
    split: int = 0
    kind = "depthwise"


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaxPool(LoopNest):
    """A max-pool."""

    kind = "max_pool"

    @property
    def row_by_row(self) -> bool:
        """Whether each output row is an instruction: those have one stride for both directions."""
        return self.window.row_stride != self.window.column_stride


@dataclasses.dataclass(frozen=True, kw_only=True)
class AveragePool(LoopNest):
    """An average-pool whose windows are means of their own.

    Attributes:
        multiplier, offset: of each mean, float32 values; None for the averages of plain values.
    """

    multiplier: float | None = None
    offset: float = 0.0
    kind = "average_pool"


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeanPool(LoopNest):
    """A mean over height and width; the two numbers are float32 values."""

    multiplier: float
    offset: float
    kind = "mean"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Copy(LoopNest):
    """Parts of maps, put together.

    Attributes:
        parts: in order.
        repeat: how often each pixel is there, (rows, columns).
        turns: whether these are those of the parts in turns, each once, and not of one part.
    """

    parts: tuple[Part, ...]
    repeat: tuple[int, int] = (1, 1)
    turns: bool = False
    kind = "copy"

    @property
    def whole(self) -> bool:
        """Whether rows go to other rows, so that there are no stripes."""
        return any(part.area is not None for part in self.parts)

    @property
    def operands(self) -> tuple[Plane, ...]:
        """What it reads."""
        return self.gathered

    @property
    def gathered(self) -> tuple[Plane, ...]:
        """Of these maps POOL copies parts, each map once."""
        return tuple(dict.fromkeys(part.plane for part in self.parts))


Layer = Convolution | Depthwise | MaxPool | AveragePool | MeanPool | Copy
"""Any layer. Whoever tells them apart does so with ``match`` and ``assert_never``."""
