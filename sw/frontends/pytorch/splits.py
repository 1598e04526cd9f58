"""Chunks and splits as a slice for each of their parts: the same copies, a node for each result."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch.fx import GraphModule, Node

SPLITS = (
    torch.ops.aten.chunk.default,
    torch.ops.aten.split.Tensor,
    torch.ops.aten.split_with_sizes.default,
)
SLICE = torch.ops.aten.slice.Tensor


def without_splits(model: GraphModule) -> GraphModule:
    """``model``, changed so that it computes the same without them."""
    for node in list(model.graph.nodes):
        if node.op == "call_function" and node.target in SPLITS:
            _cut(model, node)
    model.graph.eliminate_dead_code()
    model.recompile()
    return model


def _cut(model: GraphModule, node: Node) -> None:
    """Take a node's parts from its source."""
    source: Any = node.args[0]
    axis: Any = node.args[2] if len(node.args) > 2 else node.kwargs.get("dim", 0)
    axis %= source.meta["val"].ndim
    begins = [0]
    for part in node.meta["val"]:
        begins.append(begins[-1] + int(part.shape[axis]))
    for user in list(node.users):
        if user.target is operator.getitem:
            number: Any = user.args[1]
            number %= len(begins) - 1
            with model.graph.inserting_before(user):
                bounds = (axis, begins[number], begins[number + 1])
                part = model.graph.call_function(SLICE, (source, *bounds))
            part.meta = dict(user.meta)
            user.replace_all_uses_with(part)
            model.graph.erase_node(user)
