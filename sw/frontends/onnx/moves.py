"""Joins of two maps, and what moves values, of an ONNX file."""

from __future__ import annotations

import dataclasses
import math

from sw.composed.bilinear import Way, bilinear, bilinear_factor
from sw.composed.shuffled import depth_to_space
from sw.frontends.onnx.functions import Functions
from sw.frontends.onnx.node import Node
from sw.frontends.onnx.values import Pending, Value
from sw.graph_builder import Output
from sw.operators.shapes import MAP_RANK

_FIRST = {1: 2, 2: 0, 3: 1}
"""Axes of the graph's maps by those of a file with channels first."""
_WAYS: dict[str, Way] = {
    "half_pixel": "half",
    "pytorch_half_pixel": "half",
    "asymmetric": "plain",
    "align_corners": "aligned",
}
"""Where a linear Resize takes its pixels."""
_REPEATS = {
    "half_pixel": ("round_prefer_floor", "round_prefer_ceil"),
    "pytorch_half_pixel": ("round_prefer_floor", "round_prefer_ceil"),
    "asymmetric": ("floor",),
}
"""By its way of coordinates, the roundings with which a nearest Resize repeats pixels."""


class Moves(Functions):
    """Adds them to the graph."""

    def two(self, pending: Pending, *, ordered: bool = False) -> tuple[Value, Value]:
        """Two activations, the smaller one last: of one shape, or that a pixel.

        Args:
            ordered: whether they must stay as they are.
        """
        left, right = pending.inputs[:2]
        if not (isinstance(left, Value) and isinstance(right, Value)):
            pending.node.refuse("one of its operands is a constant", "two activations")
        if (left.flat, left.last) != (right.flat, right.last):
            pending.node.refuse("it joins a map and a flat tensor", "two of one shape and order")
        sizes = [math.prod(self.build.tensor(each.name).shape) for each in (left, right)]
        if sizes[0] >= sizes[1]:
            return left, right
        if ordered:
            pending.node.refuse("a pixel minus a map", "a map minus a pixel")
        return right, left

    def addition(self, pending: Pending, name: str, output: Output) -> Value:
        """Add and Sub."""
        if (by_number := self.by_number(pending, name, output)) is not None:
            return by_number
        subtract = pending.node.kind == "Sub"
        left, right = self.two(pending, ordered=subtract)
        made = self.build.add(name, left.name, right.name, output, subtract=subtract)
        return dataclasses.replace(left, name=made)

    def multiplication(self, pending: Pending, name: str, output: Output) -> Value:
        """Mul."""
        if (by_number := self.by_number(pending, name, output)) is not None:
            return by_number
        left, right = self.two(pending)
        made = self.build.multiply(name, left.name, right.name, output)
        return dataclasses.replace(left, name=made)

    def extremum(self, pending: Pending, name: str, output: Output) -> Value:
        """Max and Min of two: of values that are quantized as the result is."""
        if len(pending.inputs) != 2:
            pending.node.refuse(f"{len(pending.inputs)} operands", "two")
        if (by_number := self.by_number(pending, name, output)) is not None:
            return by_number
        left, right = self.two(pending)
        a = self.requantized(pending.node, f"{name}.0", left.name, output)
        b = self.requantized(pending.node, f"{name}.1", right.name, output)
        largest = pending.node.kind == "Max"
        made = self.build.extremum(name, a, b, output, largest=largest)
        return dataclasses.replace(left, name=made)

    def first(self, pending: Pending) -> Value:
        """The first operand, an activation."""
        value: Value = pending.inputs[0]
        return value

    def axis(self, node: Node, value: Value, axis: int) -> int:
        """The axis of the graph's map that an axis of the file is."""
        if value.flat or len(self.build.tensor(value.name).shape) != MAP_RANK:
            node.refuse("its input is flat", "a map")
        inner = axis % 4 - 1 if value.last else _FIRST.get(axis % 4, -1)
        if not -4 <= axis < 4 or inner < 0:
            node.refuse(f"axis {axis}", "an axis of the map")
        return inner

    def concatenation(self, pending: Pending, name: str, output: Output) -> Value:
        """Concat: of values that are quantized as the result is."""
        node, first = pending.node, self.first(pending)
        values = list(pending.inputs)
        if not all(isinstance(value, Value) for value in values):
            node.refuse("it joins a constant", "activations")
        if len({(value.flat, value.last) for value in values}) > 1:
            node.refuse("it joins maps of different orders", "one order")
        axis = self.axis(node, first, node.attribute("axis", 1))
        parts = [
            self.requantized(node, f"{name}.{place}", value.name, output)
            for place, value in enumerate(values)
        ]
        if len(parts) == 1:
            node.refuse("it joins one", "several")
        return dataclasses.replace(first, name=self.build.concatenate(name, parts, axis))

    def slice(self, pending: Pending, name: str, output: Output) -> Value:
        """Slice, and a part of a Split."""
        node, value = pending.node, self.first(pending)
        if node.kind == "Split":
            bounds = [self.split_bounds(pending)]
        else:
            bounds = self.slice_bounds(node, value)
        x = value.name
        for number, (axis, begin, end) in enumerate(bounds):
            inner = self.axis(node, value, axis)
            called = name if number == len(bounds) - 1 else f"{name}.{number}"
            x = self.build.slice_channels(called, x, begin, end - begin, inner)
        if not bounds:
            x = self.looked_up(node, name, x, output)
        return dataclasses.replace(value, name=x)

    def split_bounds(self, pending: Pending) -> tuple[int, int, int]:
        """Axis, begin and end of a part."""
        node, value = pending.node, pending.inputs[0]
        axis = node.attribute("axis", 0)
        extent = self.build.tensor(value.name).shape[self.axis(node, value, axis) - MAP_RANK]
        given = self.array(node, 1, "the sizes of its parts")
        sizes = node.attribute("split", None) if given is None else given.reshape(-1).tolist()
        parts = len(node.outputs)
        if sizes is None:
            each = -(-extent // node.attribute("num_outputs", parts))
            sizes = [min(each, extent - each * part) for part in range(parts)]
        if len(sizes) != parts or sum(sizes) != extent or min(sizes) < 1:
            node.refuse(f"parts of {sizes} of {extent}", "parts that are all of it")
        begin = sum(sizes[: pending.part])
        return axis, begin, begin + sizes[pending.part]

    def slice_bounds(self, node: Node, value: Value) -> list[tuple[int, int, int]]:
        """Axis, begin and end of every axis that a Slice cuts."""
        names = ("starts", "ends", "axes", "steps")
        given = [self.array(node, place, name) for place, name in enumerate(names, 1)]
        starts, ends, axes, steps = (
            None if array is None else array.reshape(-1).tolist() for array in given
        )
        starts, ends = starts or node.attribute("starts", []), ends or node.attribute("ends", [])
        axes = axes or node.attribute("axes", None) or list(range(len(starts)))
        steps = steps or [1] * len(starts)
        if not starts or not len(starts) == len(ends) == len(axes) == len(steps):
            node.refuse(f"bounds {starts} and {ends}", "one for each axis")
        if set(steps) != {1} or len({axis % 4 for axis in axes}) != len(axes):
            node.refuse(f"steps {steps} of axes {axes}", "step 1, each axis once")
        cut = []
        for axis, start, end in zip(axes, starts, ends, strict=True):
            if axis % 4 == 0 and slice(start, end).indices(1)[:2] == (0, 1):
                continue
            extent = self.build.tensor(value.name).shape[self.axis(node, value, axis) - MAP_RANK]
            first, last, _ = slice(start, end).indices(extent)
            if first >= last:
                node.refuse(f"{start} to {end} of {extent}", "some of them")
            if (first, last) != (0, extent):
                cut.append((axis, first, last))
        return cut

    def sizes(self, pending: Pending) -> list[int]:
        """Rows and columns that a Resize makes."""
        node = pending.node
        height, width, channels = self.build.tensor(self.source(pending)).shape
        found = [self.array(node, place, "scales or sizes") for place in (2, 3)]
        scales, sizes = (
            None if each is None or not each.size else each.reshape(-1).tolist() for each in found
        )
        if sizes is not None and sizes[:2] == [1, channels] and len(sizes) == 4:
            return [int(each) for each in sizes[2:]]
        if sizes is not None or scales is None or len(scales) != 4 or scales[:2] != [1.0, 1.0]:
            node.refuse(f"scales {scales}, sizes {sizes}", "of rows and columns, four of them")
        pairs = zip((height, width), scales[2:], strict=True)
        return [math.floor(each * scale) for each, scale in pairs]

    def resize(self, pending: Pending, name: str, output: Output) -> Value:
        """Resize, nearest or linear."""
        node = pending.node
        source = self.source(pending)
        height, width, _ = self.build.tensor(source).shape
        made = self.sizes(pending)
        coordinates = node.attribute("coordinate_transformation_mode", "half_pixel")
        mode = node.attribute("mode", "nearest")
        rounding = node.attribute("nearest_mode", "round_prefer_floor")
        for unused in ("cubic_coeff_a", "extrapolation_value"):
            node.attribute(unused, None)
        node.expect("antialias", 0)
        node.expect("exclude_outside", 0)
        node.expect("keep_aspect_ratio_policy", "stretch")
        if node.attribute("axes", None) is not None:
            node.refuse("axes of its own", "scales or sizes for all")
        if mode == "linear":
            return Value(self.interpolated(pending, name, made))
        whole = not (made[0] % height or made[1] % width) and min(made) > 0
        if rounding not in _REPEATS.get(coordinates, ()) or not whole:
            node.refuse(
                f"{[height, width]} to {made}, {coordinates}, {rounding}",
                "whole factors, half_pixel with round_prefer_floor or asymmetric with floor",
            )
        factor = (made[0] // height, made[1] // width)
        return Value(self.build.resize_nearest(name, source, factor))

    def interpolated(self, pending: Pending, name: str, made: list[int]) -> str:
        """A linear Resize: halves go to even there."""
        node, source = pending.node, self.source(pending)
        if node.input(0) in self.quantized:
            node.refuse("linear of bytes, which ONNX Runtime cuts off", "the QDQ form")
        coordinates = node.attribute("coordinate_transformation_mode", "half_pixel")
        way, shape = _WAYS.get(coordinates), self.build.tensor(source).shape[:2]
        factors = [
            None if way is None or each < 1 else bilinear_factor(size, each, way)
            for size, each in zip(shape, made, strict=True)
        ]
        if way is None or None in factors:
            node.refuse(
                f"{list(shape)} to {made}, {coordinates}", "factors of 2 and 4, or 8 without a half"
            )
        known = (factors[0] or 1, factors[1] or 1)
        return bilinear(self.build, name, source, known, way, halves_up=False)

    def interleaving(self, pending: Pending, name: str, _output: Output) -> Value:
        """DepthToSpace."""
        node, factor = pending.node, pending.node.attribute("blocksize", 0)
        mode = node.attribute("mode", "DCR")
        if mode not in ("DCR", "CRD"):
            node.refuse(f"mode {mode}", "DCR or CRD")
        source = self.source(pending)
        made = depth_to_space(self.build, name, source, factor, channels_first=mode == "CRD")
        return Value(made)
