"""What a row of the table of operators holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

from sw.operations import Operation, Tensor

Frontend = Literal["tflite", "onnx", "pytorch"]
Shape = tuple[int, ...]

FRONTENDS: dict[Frontend, str] = {"tflite": "TFLite", "onnx": "ONNX", "pytorch": "PyTorch"}
"""The frontends, and what they are called in text."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Proposal:
    """An operation that is about to join a graph.

    Attributes:
        operation: without an output so far.
        inputs: the tensors that it names.
        weights: shape of its weights, None if it has none.
        keep_dims: of a mean, whether height and width stay in its shape, as 1.
    """

    operation: Any
    inputs: tuple[Tensor, ...]
    weights: Shape | None = None
    keep_dims: bool = True

    @property
    def name(self) -> str:
        """Of the operation, for messages."""
        return str(self.operation.name)

    @property
    def source(self) -> Tensor:
        """Its first input."""
        return self.inputs[0]


@dataclasses.dataclass(frozen=True)
class Constraint:
    """Something that must hold before an operation joins a graph.

    Attributes:
        rule: what must hold, in words.
        fault: what is wrong with a proposal, with its name in front; None if nothing is.
    """

    rule: str
    fault: Callable[[Proposal], str | None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spelling:
    """What a frontend calls an operator.

    Attributes:
        names: in its files, those of quantized forms included. Where a name covers several
            operators, the frontend adds what tells them apart: ``Conv (group = channels)``.
        note: what of it is accepted, beyond what the row says; for the page.
        absent: why there is no name for it, if there is none.
        instead_of: what is not supported and comes closest to this operator, with the words that
            say so.
    """

    names: tuple[str, ...] = ()
    note: str = ""
    absent: str = ""
    instead_of: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Operator:
    """A row.

    Attributes:
        name: in text, and the key of a frontend's handlers and of the tests' random ones.
        operation: class of the integer graph, the key of everything that computes or lowers it;
            None where an operator leaves no operation of its own.
        accepts: which forms of it are taken.
        graph: what becomes of it in the integer graph.
        machine: what becomes of it on the machine.
        spelling: of each frontend.
        operands: activations that it reads; 0 for any number.
        constraints: checked in this order.
        shape: of the result of a proposal that keeps to the constraints.
        keeps_quantization: its result has the scale and zero point of its input.
        takes_activation: an activation behind it becomes its own.
    """

    name: str
    operation: type[Operation] | None = None
    accepts: str = ""
    graph: str
    machine: str
    spelling: Mapping[Frontend, Spelling]
    operands: int = 1
    constraints: tuple[Constraint, ...] = ()
    shape: Callable[[Proposal], Shape] | None = None
    keeps_quantization: bool = False
    takes_activation: bool = False
