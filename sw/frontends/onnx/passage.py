"""Nodes of an ONNX file that leave no operation in the graph: activations and views."""

from __future__ import annotations

import dataclasses
import math

from sw.frontends.onnx.entry import TO_FIRST, TO_LAST
from sw.frontends.onnx.node import Node
from sw.frontends.onnx.values import Constant, Hosted, Pending, Source, Value, Values
from sw.numerics import Activation
from sw.operators import find


class Passage(Values):
    """Handles what only says how values are seen or bounded."""

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
                "it does not follow Conv, Gemm, Add, MaxPool or AveragePool directly", "one there"
            )
        node.finish(3)
        self.values[node.outputs[0]] = dataclasses.replace(value, activation=kind)

    def takes_activation(self, value: Pending) -> bool:
        """Whether an activation behind an operator becomes its own."""
        row = find("onnx", self.spelled(value.node))
        return row is not None and row.takes_activation and value.activation == "none"

    def view(self, node: Node) -> None:
        """What gives values another shape or order in the file and moves none in the graph."""
        name = node.input(0)
        value = self.values.get(name)
        if node.kind in ("Identity", "Dropout"):
            self.same(node)
        elif isinstance(value, Hosted):
            self.values[node.outputs[0]] = value
        elif node.kind == "Transpose":
            self.transpose(node)
        else:
            self.values[node.outputs[0]] = self.reshaped(node)
        if name in self.quantized:
            self.quantized[node.outputs[0]] = self.quantized[name]

    def same(self, node: Node) -> None:
        """Identity, and Dropout outside training: the tensor has another name."""
        if node.kind == "Dropout":
            training = self.array(node, 2, "a training mode")
            if training is not None and training.any():
                node.refuse("dropout in training", "training_mode false")
            node.attribute("ratio", 0.5)
            node.attribute("seed", 0)
        node.finish(3, 2)
        self.alias[node.outputs[0]] = node.input(0)

    def transpose(self, node: Node) -> None:
        """Transpose: of a constant any; of a map what puts its channels first or last."""
        name, output = node.input(0), node.outputs[0]
        perm = node.attribute("perm", None)
        node.finish(1)
        if name in self.constants:
            self.constants[output] = self.constants[name].transpose(perm)
            return
        value = self.values.get(name)
        if isinstance(value, Constant):
            rank = value.values.ndim
            order = list(range(rank))[::-1] if perm is None else perm
            axis = order.index(value.axis % rank) if value.scale.size > 1 else 0
            turned = value.values.transpose(order)
            self.values[output] = dataclasses.replace(value, values=turned, axis=axis)
            return
        if not isinstance(value, Source):
            value = self.read(node, name)
            flat = value.flat or len(self.build.tensor(value.name).shape) == 1
            if perm == [0, 1] if flat else perm == [0, 1, 2, 3]:
                self.values[output] = value
                return
            if flat:
                node.refuse(f"perm {perm} of a flat tensor", "none")
        if perm != (TO_FIRST if value.last else TO_LAST):
            order = "last" if value.last else "first"
            node.refuse(
                f"perm {perm} where channels are {order}",
                f"{TO_FIRST} behind an input with channels last, {TO_LAST} behind channels first",
            )
        self.values[output] = dataclasses.replace(value, last=not value.last)

    def reshaped(self, node: Node) -> Value:
        """Flatten and its like, where no value changes its place."""
        source = self.read(node, node.input(0))
        held = self.build.tensor(source.name).shape
        shape = self.seen(source)
        target = self.target(node, shape)
        node.finish(2)
        if target == shape:
            return source
        flat, spatial = target == [1, math.prod(shape)], len(held) == 3
        if flat:
            return dataclasses.replace(source, flat=spatial)
        for last in (False, True):  # channels of one pixel: as a map and flat the same
            if (
                spatial
                and held[:2] == (1, 1)
                and target == self.seen(Value(source.name, last=last))
            ):
                return Value(source.name, last=last)
        return node.refuse(f"{shape} to {target}", "Flatten to one row")

    def seen(self, value: Value) -> list[int]:
        """The shape that the file sees."""
        held = self.build.tensor(value.name).shape
        if value.flat or len(held) == 1:
            return [1, math.prod(held)]
        return [1, *held] if value.last else [1, held[2], *held[:2]]

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
