"""Which tensors of a PyTorch network are quantized, and how: our quantizer for torchao's PT2E.

The machine computes ``convolution -> int8``, ``int8 + int8 -> int8`` and so on, with a ReLU inside
the operation before it. So an operation's output has its own 8-bit quantization, a fused activation
moves it behind the activation, and operations that keep their input's (the table of operators says
which: poolings, padding, views) share it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch.fx import GraphModule, Node
from torchao.quantization.pt2e import PerChannelMinMaxObserver
from torchao.quantization.pt2e.quantizer import (
    FixedQParamsQuantizationSpec,
    QuantizationAnnotation,
    QuantizationSpec,
    Quantizer,
    SharedQuantizationSpec,
)
from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY

from sw.errors import DnaError
from sw.frontends.pytorch.observer import LeastErrorObserver
from sw.frontends.pytorch.splits import without_splits
from sw.numerics import Activation
from sw.operators import Operator, find, nearest

WEIGHTED = (
    *("convolution", "depthwise convolution", "grouped convolution", "transposed convolution"),
    "fully connected",
)
CONVOLUTION = torch.ops.aten.conv2d.default
DROPOUT = torch.ops.aten.dropout.default
OF_TWO = {"addition": "sum", "multiplication": "product", "extremum": "maximum or minimum"}
GROUPED = "aten.conv2d (groups)"
GROUPS = 6
"""Position of a convolution's argument."""

ACTIVATION = QuantizationSpec(
    dtype=torch.uint8,
    observer_or_fake_quant_ctr=LeastErrorObserver,
    quant_min=0,
    quant_max=255,
    qscheme=torch.per_tensor_affine,
)
FIXED = {
    f"aten.{name}.default": FixedQParamsQuantizationSpec(
        dtype=torch.uint8,
        scale=scale,
        zero_point=zero_point,
        quant_min=0,
        quant_max=255,
        qscheme=torch.per_tensor_affine,
    )
    for name, scale, zero_point in (
        *(("sigmoid", 1 / 256, 0), ("hardsigmoid", 1 / 256, 0), ("hardsigmoid_", 1 / 256, 0)),
        ("tanh", 1 / 128, 128),
    )
}
"""Results whose quantization LiteRT prescribes."""
WEIGHT, WEIGHT_TRANSPOSED = (
    QuantizationSpec(
        dtype=torch.int8,
        observer_or_fake_quant_ctr=PerChannelMinMaxObserver,
        quant_min=-127,
        quant_max=127,
        qscheme=torch.per_channel_symmetric,
        ch_axis=axis,
    )
    for axis in (0, 1)
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


def row(node: Node, channels: int | None = None) -> Operator | None:
    """The row of the table of operators that ``node`` is; None if it is not supported.

    Args:
        channels: of its input, where the node does not know them (any more).
    """
    return find("pytorch", spelled(node, channels))


def spelled(node: Node, channels: int | None = None) -> str:
    """What the table of operators calls ``node``; arguments as for :func:`row`."""
    groups = argument(node, GROUPS, 1) if node.target is CONVOLUTION else 1
    if groups == 1:
        return str(node.target)
    source = node.args[0]
    if channels is None and isinstance(source, Node):
        channels = source.meta["val"].shape[1]
    return f"{node.target} (groups = channels)" if groups == channels else GROUPED


def is_a(node: Node, *names: str) -> bool:
    """Whether the table of operators calls ``node`` one of ``names``."""
    found = row(node) if node.op == "call_function" else None
    return found is not None and found.name in names


def argument(node: Node, position: int, default: Any) -> Any:
    """A positional argument, or its default where it is left out."""
    return node.args[position] if len(node.args) > position else default


def activation_of(node: Node) -> Activation | None:
    """The bounds of an activation; None if the machine has no such."""
    kind = str(node.target).removeprefix("aten.").removesuffix(".default").rstrip("_")
    if kind == "relu":
        return "relu"
    if kind == "relu6":
        return "relu6"
    lowest, highest = (-1, 1) if kind == "hardtanh" else (None, None)
    bounds = (argument(node, 1, lowest), argument(node, 2, highest))
    return {(0, 6): "relu6", (0, None): "relu"}.get(bounds)  # type: ignore[return-value]


def sources(node: Node) -> list[Node]:
    """The tensors that an operation computes with, its weights left out."""
    first: Any = node.args[0]
    given = first if isinstance(first, list | tuple) else (first,)
    found = [operand for operand in given if isinstance(operand, Node)]
    assert len(found) == len(given), node
    return found


def fused(node: Node) -> Node | None:
    """The activation that ``node`` takes in: the one user of its result, if that is one."""
    found, users = row(node) if node.op == "call_function" else None, list(node.users)
    if found is None or not found.takes_activation or len(users) != 1:
        return None
    behind = users[0]
    return behind if is_a(behind, "activation") and activation_of(behind) else None


def check_operators(nodes: Iterable[Node]) -> None:
    """Refuse a network that has no integer counterpart, before any work goes into it.

    Raises:
        DnaError: an operator is unsupported; the message names it.
    """
    for node in nodes:
        if node.op not in ("get_attr", "placeholder", "output"):
            fault = _fault(node)
            if fault is not None:
                raise DnaError(f"unsupported operator {name_of(node)} ({node.target}){fault}")


def _fault(node: Node) -> str | None:
    """What is wrong with an operator, as the end of a message; None if nothing is."""
    found = row(node)
    if found is None or found.name == "quantization":
        return f"; nearest: {nearest('pytorch', str(node.target))}"
    source, *_ = sources(node)
    if found.operands > 1 and (node.kwargs or not all(map(_is_computed, node.args))):
        return f": only a plain {OF_TWO[found.name]} of two tensors"
    if node.kwargs and found.name != "function":
        return f": {', '.join(node.kwargs)} given by name"
    if is_a(source, "softmax"):
        return ": it reads a softmax; nearest: a softmax at the end"
    if found.name in (*WEIGHTED, "parametric ReLU") and _is_computed(node.args[1]):
        return ": its weights are not constant"
    return _fault_of_values(node, source, found.name)


def _fault_of_values(node: Node, source: Node, name: str) -> str | None:
    flat = node.meta["val"].ndim == 2
    if name in ("fully connected", "softmax") and source.meta["val"].ndim != 2:
        return ": only on a flat tensor"
    if name == "view" and node.target is not DROPOUT and not (flat and len(node.meta["val"]) == 1):
        return ": only from dimension 1 to the last"
    if node.target is DROPOUT and argument(node, 2, True):
        return ": dropout while training; call eval() first"
    if _in_place(node) and any(is_a(other, "view") for other in (source, *source.users)):
        # Export follows a value that is overwritten, but not a view of it.
        return ": it overwrites a value that is also flattened; compute it out of place"
    return None


def _in_place(node: Node) -> bool:
    return str(node.target).split(".")[1].endswith("_")


def _is_computed(operand: object) -> bool:
    return isinstance(operand, Node) and operand.op != "get_attr"


def _taken_in(node: Node) -> bool:
    """Whether an activation is one with the operation in front of it."""
    return is_a(node, "activation") and fused(sources(node)[0]) is node


class DnaQuantizer(Quantizer):  # type: ignore[misc]
    """Activations uint8 per tensor, asymmetric; weights int8 per output channel, symmetric."""

    def transform_for_annotation(self, model: GraphModule) -> GraphModule:
        """Nodes with several results as one for each."""
        return without_splits(model)

    def annotate(self, model: GraphModule) -> GraphModule:
        """Say of every operation how its inputs and its output are quantized.

        Raises:
            DnaError: the network has an unsupported operator.
        """
        check_operators(model.graph.nodes)
        for node in model.graph.nodes:
            if node.op == "placeholder":
                _annotate(node, {}, ACTIVATION)
            elif node.op == "call_function" and not is_a(node, "softmax") and not _taken_in(node):
                self._operation(node)
        return model

    def _operation(self, node: Node) -> None:
        """Annotate an operation and the activation that it takes in."""
        found, behind = row(node), fused(node)
        assert found is not None
        first, *others = sources(node)
        operands: dict[Any, Any] = {first: ACTIVATION}
        if found.name in WEIGHTED:
            transposed = found.name == "transposed convolution"
            operands[node.args[1]] = WEIGHT_TRANSPOSED if transposed else WEIGHT
        elif found.operands > 1:
            operands = dict.fromkeys(node.args, ACTIVATION)
        result: Any = ACTIVATION
        if found.keeps_quantization:
            result = SharedQuantizationSpec((first, node))
            shared = [each for each in (*operands, *others) if each is not first]
            operands |= dict.fromkeys(shared, result)
        result = FIXED.get(str(node.target), result)
        _annotate(node, operands, None if behind else result)
        if behind is not None:
            _annotate(behind, {}, result)

    def validate(self, model: GraphModule) -> None:
        """Nothing is left to check: :meth:`annotate` refuses what it cannot annotate."""


def _annotate(node: Node, inputs: Mapping[Any, Any], output: Any) -> None:
    node.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(
        input_qspec_map=dict(inputs), output_qspec=output, _annotated=True
    )
