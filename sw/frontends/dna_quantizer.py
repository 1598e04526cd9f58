"""Which tensors of a PyTorch network are quantized, and how: our quantizer for torchao's PT2E.

The machine computes ``convolution -> int8``, ``int8 + int8 -> int8`` and so on, with a ReLU inside
the operation before it. So every operation's output has its own 8-bit quantization, a fused ReLU
moves it behind the ReLU, and operations that only move values (max-pool, flatten) keep their
input's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch.fx import GraphModule, Node
from torchao.quantization.pt2e import PerChannelMinMaxObserver
from torchao.quantization.pt2e.quantizer import (
    QuantizationAnnotation,
    QuantizationSpec,
    Quantizer,
    SharedQuantizationSpec,
)
from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY

from sw.errors import DnaError
from sw.frontends.observer import LeastErrorObserver

aten = torch.ops.aten

CONVOLUTION = frozenset({aten.conv2d.default})
LINEAR = frozenset({aten.linear.default})
ADD = frozenset({aten.add.Tensor, aten.add_.Tensor})
MEAN = frozenset({aten.adaptive_avg_pool2d.default, aten.mean.dim})
MAX_POOL = frozenset({aten.max_pool2d.default})
FLATTEN = frozenset({aten.flatten.using_ints})
RELU = frozenset({aten.relu.default, aten.relu_.default})

WEIGHTED = CONVOLUTION | LINEAR
TAKES_RELU = WEIGHTED | ADD
MOVES = MAX_POOL | FLATTEN
SUPPORTED = TAKES_RELU | MEAN | MOVES | RELU
IN_PLACE = frozenset({aten.add_.Tensor, aten.relu_.default})

ACTIVATION = QuantizationSpec(
    dtype=torch.uint8,
    observer_or_fake_quant_ctr=LeastErrorObserver,
    quant_min=0,
    quant_max=255,
    qscheme=torch.per_tensor_affine,
)
WEIGHT = QuantizationSpec(
    dtype=torch.int8,
    observer_or_fake_quant_ctr=PerChannelMinMaxObserver,
    quant_min=-127,
    quant_max=127,
    qscheme=torch.per_channel_symmetric,
    ch_axis=0,
)


def name_of(node: Node) -> str:
    """A readable name: the module that computes ``node``, and the operator if it is not all of it.

    ``layer1.0.conv1`` for a module of its own, ``layer1.0.add`` for a sum in ``layer1.0``.
    """
    operator = (
        node.target.__name__.split(".")[0].rstrip("_")
        if callable(node.target)
        else str(node.target)
    )
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path, kind = stack[-1] if stack else ("", "")
    kind = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
    is_leaf = kind.startswith("torch.nn.") and ".container." not in kind
    return str(path) if is_leaf else ".".join(part for part in (path, operator) if part)


def fused_relu(node: Node) -> Node | None:
    """The ReLU that ``node`` takes in: the one user of its result, if that is a ReLU."""
    users = list(node.users)
    if node.target in TAKES_RELU and len(users) == 1 and users[0].target in RELU:
        return users[0]
    return None


def check_operators(nodes: Iterable[Node]) -> None:
    """Refuse a network that has no integer counterpart, before any work goes into it.

    Raises:
        DnaError: an operator is unsupported; the message names it.
    """
    for node in nodes:
        if node.op in ("get_attr", "placeholder", "output"):
            continue
        what = f"{name_of(node)} ({node.target})"
        if node.target not in SUPPORTED:
            raise DnaError(f"unsupported operator {what}")
        if node.target in ADD and (node.kwargs or not all(map(_is_computed, node.args))):
            raise DnaError(f"unsupported operator {what}: only a plain sum of two tensors")
        source = node.args[0]
        assert isinstance(source, Node)
        if node.target in WEIGHTED and _is_computed(node.args[1]):
            raise DnaError(f"unsupported operator {what}: its weights are not constant")
        if node.target in LINEAR and source.meta["val"].ndim != 2:
            raise DnaError(f"unsupported operator {what}: only on a flat tensor")
        if node.target in FLATTEN and node.meta["val"].ndim != 2:
            raise DnaError(f"unsupported operator {what}: only from dimension 1 to the last")
        if node.target in RELU and fused_relu(source) is not node:
            raise DnaError(
                f"unsupported operator {what}: a ReLU must be the only reader of a convolution, "
                "linear layer or sum"
            )
        if node.target in IN_PLACE and any(
            other.target in FLATTEN for other in (source, *source.users)
        ):
            # Export follows a value that is overwritten, but not a view of it.
            raise DnaError(
                f"unsupported operator {what}: it overwrites a value that is also flattened; "
                "compute it out of place"
            )


def _is_computed(operand: object) -> bool:
    return isinstance(operand, Node) and operand.op != "get_attr"


class DnaQuantizer(Quantizer):  # type: ignore[misc]
    """Activations uint8 per tensor, asymmetric; weights int8 per output channel, symmetric."""

    def annotate(self, model: GraphModule) -> GraphModule:
        """Say of every operation how its inputs and its output are quantized.

        Raises:
            DnaError: the network has an unsupported operator.
        """
        check_operators(model.graph.nodes)
        for node in model.graph.nodes:
            if node.op == "placeholder":
                _annotate(node, {}, ACTIVATION)
            elif node.target in WEIGHTED:
                relu = fused_relu(node)
                _annotate(
                    node,
                    {node.args[0]: ACTIVATION, node.args[1]: WEIGHT},
                    None if relu else ACTIVATION,
                )
            elif node.target in ADD:
                _annotate(
                    node,
                    dict.fromkeys(node.args, ACTIVATION),
                    None if fused_relu(node) else ACTIVATION,
                )
            elif node.target in MEAN:
                _annotate(node, {node.args[0]: ACTIVATION}, ACTIVATION)
            elif node.target in MOVES:
                source = node.args[0]
                _annotate(node, {source: ACTIVATION}, SharedQuantizationSpec((source, node)))
            elif node.target in RELU:
                _annotate(node, {}, ACTIVATION)
        return model

    def validate(self, model: GraphModule) -> None:
        """Nothing is left to check: :meth:`annotate` refuses what it cannot annotate."""


def _annotate(node: Node, inputs: Mapping[Any, Any], output: Any) -> None:
    node.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(
        input_qspec_map=dict(inputs), output_qspec=output, _annotated=True
    )
