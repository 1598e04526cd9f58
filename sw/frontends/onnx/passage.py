"""Nodes of an ONNX file that leave no operation in the graph: activations, views, softmax."""

from __future__ import annotations

import dataclasses
import math

from sw.frontends.onnx.node import Node
from sw.frontends.onnx.values import Hosted, Pending, Value, Values
from sw.numerics import Activation
from sw.operators import find


class Passage(Values):
    """Handles what only says how values are seen, bounded, or used by the host."""

    def activation(self, node: Node) -> None:
        """Relu and Clip: bounds of the operator in front, if its float result is what they read."""
        value = self.values.get(node.input(0))
        kind: Activation = "relu"
        if node.kind == "Clip":
            bounds = [self.array(node, position, "a bound") for position in (1, 2)]
            found = [
                node.attribute(name, None) if bound is None else float(bound)
                for name, bound in zip(("min", "max"), bounds, strict=True)
            ]
            if found != [0.0, 6.0]:
                node.refuse(f"Clip to {found}", "Relu, or Clip to 0..6")
            kind = "relu6"
        if isinstance(value, Value) and node.input(0) not in self.quantized:
            value = Pending(node, (value,))  # quantized in front, too: an operation of its own
        elif not isinstance(value, Pending) or not self.takes_activation(value):
            node.refuse(
                "it does not follow Conv, Gemm, Add or a pooling directly", "it right behind one"
            )
        node.finish(3)
        self.values[node.outputs[0]] = dataclasses.replace(value, activation=kind)

    def takes_activation(self, value: Pending) -> bool:
        """Whether an activation behind an operator becomes its own."""
        row = find("onnx", self.spelled(value.node))
        return row is not None and row.takes_activation and value.activation == "none"

    def view(self, node: Node) -> None:
        """Flatten and its like, where no value changes its place."""
        value = self.values.get(node.input(0))
        if isinstance(value, Hosted):
            self.values[node.outputs[0]] = value
            return
        source = self.read(node, node.input(0))
        held = self.build.tensor(source.name).shape
        shape = [1, *held]
        if len(held) == 3:
            shape = [1, math.prod(held)] if source.flat else [1, held[2], *held[:2]]
        target = self.target(node, shape)
        node.finish(2)
        flat = source.flat
        if target != shape:
            turned = [1, held[-1], 1, 1]  # channels of one pixel: as a map and flat the same
            if len(target) == 2 and target[0] == 1:
                flat = len(held) == 3
            elif len(held) == 3 and target == turned:
                flat = False
            else:
                node.refuse(f"{shape} to {target}", "Flatten to one row")
        self.values[node.outputs[0]] = Value(source.name, flat)
        if node.input(0) in self.quantized:
            self.quantized[node.outputs[0]] = self.quantized[node.input(0)]

    def target(self, node: Node, shape: list[int]) -> list[int]:
        """The shape that a view gives to ``shape``."""
        if node.kind == "Flatten":
            axis = node.attribute("axis", 1) % (len(shape) + 1)
            return [math.prod(shape[:axis]), math.prod(shape[axis:])]
        if node.kind == "Reshape":
            node.expect("allowzero", 0)
            given = self.array(node, 1, "a shape")
            wanted = [] if given is None else [int(size) for size in given.reshape(-1)]
            sizes = [shape[i] if n == 0 and i < len(shape) else n for i, n in enumerate(wanted)]
            known = math.prod(size for size in sizes if size != -1)
            open_size = math.prod(shape) // known if known > 0 else 0
            sizes = [open_size if size == -1 else size for size in sizes]
            if math.prod(sizes) != math.prod(shape):
                node.refuse(f"{shape} to {wanted}", "a shape with as many values")
            return sizes
        axes = self.axes(node)
        if node.kind == "Squeeze":
            drop = {axis % len(shape) for axis in axes} if axes else None
            return [
                size
                for i, size in enumerate(shape)
                if size != 1 or (drop is not None and i not in drop)
            ]
        sizes = list(shape)
        for axis in sorted(axis % (len(shape) + len(axes or [])) for axis in axes or []):
            sizes.insert(axis, 1)
        return sizes

    def softmax(self, node: Node) -> None:
        """Softmax: the host's, if nothing on the machine reads it."""
        if node.kind == "QLinearSoftmax":
            value = self.activation_input(node, 0)
            self.quantized[node.outputs[0]] = self.quantization(node, 3)[2]
            node.attribute("opset", 0)
        else:
            value = self.read(node, node.input(0))
        if len(self.build.tensor(value.name).shape) == 3 and not value.flat:
            node.refuse("it reads a map", "Flatten in front of it")
        node.expect("axis", -1, 1)
        node.finish(5)
        self.values[node.outputs[0]] = Hosted(value)
