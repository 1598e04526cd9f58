"""Operators of a TFLite file that compute nothing: other shapes of the same values."""

from __future__ import annotations

import math

from sw.frontends.tflite.file.operator import TfliteOperator
from sw.frontends.tflite.operators.values.axes import Axes
from sw.frontends.tflite.operators.values.operands import Hosted, Operands, Value
from sw.operations import Padding

TRANSPOSE = "TRANSPOSE"
Shape = tuple[int, ...]


class Passage(Operands):
    """Passes the machine's tensors on in other shapes."""

    def view(self, operator: TfliteOperator) -> None:
        """RESHAPE and its like, and TRANSPOSE.

        What moves values is the host's, unless what follows puts every value back into its place.
        """
        index, output = operator.input(0), operator.outputs[0]
        before, after = self.model.tensors[index].shape, self.model.tensors[output].shape
        border, axes = index, None
        if index in self.hosted:
            border, axes = self.hosted[index].border, self.hosted[index].axes
        else:
            value = self.operand(operator)
            assert value.padding == Padding()  # only a window's input is left one
            axes = Axes.of(value.shape)
        shape = self.shape_behind(operator, before)
        if shape != after:
            operator.refuse(
                f"the file says that it makes {list(after)} of {list(before)}, but it makes "
                f"{list(shape)}",
                "the model exported again",
            )
        if axes is not None:
            self.same_quantization(operator)
            self.activation(operator, output)
            axes = self.moved(operator, axes, shape)
        if axes is not None and axes.in_order:
            self.values[output] = Value(self.values[border].name, shape)
        else:
            self.hosted[output] = Hosted(border, axes)

    def moved(self, operator: TfliteOperator, axes: Axes, shape: Shape) -> Axes | None:
        """The axes behind a view that makes ``shape``."""
        if operator.code == TRANSPOSE:
            return axes.transposed(self.order(operator, len(axes.extents)))
        return axes.reshaped(shape)

    def order(self, operator: TfliteOperator, rank: int) -> list[int]:
        """Which axes of its input a TRANSPOSE takes, one after the other."""
        if self.model.tensors[operator.input(1)].type != "INT32":
            operator.refuse("axes that are not INT32, which LiteRT does not load", "INT32")
        order: list[int] = self.integers(operator, 1, "axes").tolist()
        if not isinstance(order, list) or sorted(order) != list(range(rank)):
            operator.refuse(f"axes {order} of {rank}", f"each of 0 to {rank - 1} once")
        return order

    def shape_behind(self, operator: TfliteOperator, shape: Shape) -> Shape:
        """The shape that a view makes of ``shape``."""
        if operator.code == TRANSPOSE:
            return tuple(shape[axis] for axis in self.order(operator, len(shape)))
        if operator.code == "RESHAPE":
            return self.reshaped(operator, shape)
        rank = len(shape)
        if operator.code == "EXPAND_DIMS":
            axes = self.integers(operator, 1, "axes").reshape(-1).tolist()
            if len(axes) != 1 or not -rank - 1 <= axes[0] <= rank:
                operator.refuse(f"axes {axes} of {rank}", f"one of 0 to {rank}")
            place = axes[0] % (rank + 1)
            return (*shape[:place], 1, *shape[place:])
        given = operator.option("squeezeDims")
        axes = [] if given is None else [int(axis) for axis in given]
        if any(not -rank <= axis < rank or shape[axis] != 1 for axis in axes):
            operator.refuse(f"axes {axes} of {list(shape)}", "axes of one value")
        drop = {axis % rank for axis in axes} or {i for i, n in enumerate(shape) if n == 1}
        return tuple(size for axis, size in enumerate(shape) if axis not in drop)

    def reshaped(self, operator: TfliteOperator, shape: Shape) -> Shape:
        """The shape that a RESHAPE makes: by its second input, else by its option."""
        if operator.input(1) >= 0:
            wanted = self.integers(operator, 1, "sizes").reshape(-1).tolist()
            operator.ignore("newShape")
        else:
            given = operator.option("newShape")
            wanted = [] if given is None else [int(size) for size in given]
        count, known = math.prod(shape), math.prod(size for size in wanted if size != -1)
        sizes = [count // known if size == -1 and known > 0 else size for size in wanted]
        if any(size < 1 for size in sizes) or wanted.count(-1) > 1 or math.prod(sizes) != count:
            operator.refuse(f"{list(shape)} to {wanted}", "a shape with as many values")
        return tuple(sizes)
