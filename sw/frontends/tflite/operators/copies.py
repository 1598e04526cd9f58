"""The operators of a TFLite file that move values and change none."""

from __future__ import annotations

from sw.composed.bilinear import Way, bilinear, bilinear_factor
from sw.composed.shuffled import depth_to_space
from sw.frontends.tflite.file.operator import TfliteOperator
from sw.frontends.tflite.operators.values.operands import Operands, Value
from sw.operators.shapes import MAP_RANK, axes_of

Built = tuple[str, tuple[int, ...]]
"""What an operator became: a tensor of the graph, and the shape that the file has to give it."""


class Copies(Operands):
    """Adds them to the graph."""

    def computed(self, name: str) -> Built:
        """A result whose shape in the file is that of the graph."""
        return name, (1, *self.builder.tensor(name).shape)

    def held(self, operator: TfliteOperator, position: int = 0) -> Value:
        """An operand that has its shape in the graph, too."""
        value = self.operand(operator, position)
        held = self.builder.tensor(value.name).shape
        if value.shape != (1, *held):
            operator.refuse(
                f"its input was reshaped from {list(held)} to {list(value.shape)}",
                "RESHAPE behind it",
            )
        return value

    def concatenation(self, operator: TfliteOperator, name: str) -> Built:
        """CONCATENATION."""
        values = [self.held(operator, place) for place in range(len(operator.inputs))]
        for value in values:
            if len(value.shape) != len(values[0].shape):
                operator.refuse("inputs of different ranks", "one rank")
        rank, axis = len(values[0].shape), operator.option("axis")
        inner = axis % rank - rank + MAP_RANK if -rank <= axis < rank else -1
        if axis % rank == 0 or inner not in axes_of(values[0].shape[1:]):
            operator.refuse(f"axis {axis}", "an axis of the map")
        if self.activation_of(operator) != "none":
            operator.refuse("a fused activation", "none")
        self.same_quantization(operator)
        if len(values) == 1:
            return values[0].name, values[0].shape
        joint = self.builder.concatenate(name, [value.name for value in values], inner)
        return joint, (1, *self.builder.tensor(joint).shape)

    def channel_slice(self, operator: TfliteOperator, name: str) -> Built:
        """SLICE and STRIDED_SLICE, an axis after the other."""
        if operator.code == "SPLIT":
            operator.refuse("no plain one", "a constant axis, equal parts")
        value = self.held(operator)
        self.same_quantization(operator)
        begin, end = (
            self.slice_bounds(operator, value.shape)
            if operator.code == "SLICE"
            else self.strided_bounds(operator, value.shape)
        )
        if (begin[0], end[0]) != (0, value.shape[0]):
            operator.refuse(f"a slice {begin} to {end} of {list(value.shape)}", "of the map")
        return self.sliced(name, value, begin, end)

    def sliced(self, name: str, value: Value, begin: list[int], end: list[int]) -> Built:
        """Slices along all axes that have one; the last of them is called ``name``."""
        rank, x = len(value.shape), value.name
        cut = [n for n in range(1, rank) if (begin[n], end[n]) != (0, value.shape[n])]
        for axis in cut:
            called = name if axis == cut[-1] else f"{name}.{axis}"
            count, inner = end[axis] - begin[axis], axis - rank + MAP_RANK
            x = self.builder.slice_channels(called, x, begin[axis], count, inner)
        return x, tuple(last - first for first, last in zip(begin, end, strict=True))

    def slice_bounds(
        self, operator: TfliteOperator, shape: tuple[int, ...]
    ) -> tuple[list[int], list[int]]:
        """Where a SLICE begins and ends along each axis."""
        begin, size = (
            self.integers(operator, place, "bounds").reshape(-1).tolist() for place in (1, 2)
        )
        if len(begin) != len(shape) or len(size) != len(shape):
            operator.refuse(f"bounds {begin} and {size}", "one for each axis")
        end = [
            extent if count == -1 else first + count
            for first, count, extent in zip(begin, size, shape, strict=True)
        ]
        return begin, end

    def strided_bounds(
        self, operator: TfliteOperator, shape: tuple[int, ...]
    ) -> tuple[list[int], list[int]]:
        """Where a STRIDED_SLICE begins and ends along each axis, all with step 1."""
        begin, end, steps = (
            self.integers(operator, place, "bounds").reshape(-1).tolist() for place in (1, 2, 3)
        )
        for name in ("ellipsisMask", "newAxisMask", "shrinkAxisMask", "offset"):
            operator.expect(name, 0)
        if not len(begin) == len(end) == len(steps) == len(shape):
            operator.refuse(f"bounds {begin} and {end}", "one for each axis")
        if set(steps) != {1}:
            operator.refuse(f"steps {steps}", "step 1")
        begins, ends = (operator.option(name) for name in ("beginMask", "endMask"))
        bounds = [
            slice(
                None if begins >> axis & 1 else begin[axis], None if ends >> axis & 1 else end[axis]
            ).indices(extent)
            for axis, extent in enumerate(shape)
        ]
        return [first for first, _, _ in bounds], [last for _, last, _ in bounds]

    def depth_to_space(self, operator: TfliteOperator, name: str) -> Built:
        """DEPTH_TO_SPACE."""
        value, block = self.map(operator), operator.option("blockSize")
        self.same_quantization(operator)
        made = depth_to_space(self.builder, name, value.name, block, channels_first=False)
        return self.computed(made)

    def resize_nearest(self, operator: TfliteOperator, name: str) -> Built:
        """RESIZE_NEAREST_NEIGHBOR."""
        value = self.map(operator)
        self.same_quantization(operator)
        size = self.integers(operator, 1, "size").reshape(-1).tolist()
        _, height, width, channels = value.shape
        if len(size) != 2 or min(size) < 1 or size[0] % height or size[1] % width:
            operator.refuse(f"{[height, width]} to {size}", "a whole multiple of rows and columns")
        if operator.option("alignCorners"):
            operator.refuse("aligned corners", "none")
        operator.ignore("halfPixelCenters")  # of whole factors the same
        factor = (size[0] // height, size[1] // width)
        return self.builder.resize_nearest(name, value.name, factor), (1, *size, channels)

    def resize_bilinear(self, operator: TfliteOperator, name: str) -> Built:
        """RESIZE_BILINEAR."""
        value = self.map(operator)
        self.same_quantization(operator)
        size = self.integers(operator, 1, "size").reshape(-1).tolist()
        _, height, width, channels = value.shape
        if len(size) != 2 or min(size) < 1:
            operator.refuse(f"size {size}", "rows and columns")
        way: Way = "plain"
        if operator.option("alignCorners"):
            way = "aligned"
        elif operator.option("halfPixelCenters"):
            way = "half"
        factors = [bilinear_factor(*each, way) for each in zip((height, width), size, strict=True)]
        if None in factors:
            operator.refuse(
                f"{[height, width]} to {size}, {way}", "factors of 2 and 4, or 8 without a half"
            )
        known = (factors[0] or 1, factors[1] or 1)
        return bilinear(self.builder, name, value.name, known, way), (1, *size, channels)
