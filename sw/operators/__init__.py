"""The one table of operators: what each is, what it must keep to, and what everybody calls it.

A row (:class:`Operator`) says of one operator which operation of the integer graph it is, what the
contract asks of it, the shape of its result, how TFLite, ONNX and PyTorch spell it, what becomes of
it on the machine, and under which name the tests draw a random one. Everything that has to know a
list of operators reads the table: :class:`sw.graph_builder.GraphBuilder` its constraints and
shapes, the frontends its spellings and the words of a refusal, ``docs/models.md`` its sentences.

What computes an operation has a dispatch table of its own, keyed by the class of the operation: the
reference, the kernels, the flatbuffer writer and the compiler's lowering. Tests fail where one of
them lacks a row of this table or has one too many.
"""

from sw.operators.row import (
    FRONTENDS,
    Constraint,
    Frontend,
    Operator,
    Proposal,
    Spelling,
)
from sw.operators.search import find, nearest, row_of, spellings

__all__ = [
    "FRONTENDS",
    "Constraint",
    "Frontend",
    "Operator",
    "Proposal",
    "Spelling",
    "find",
    "nearest",
    "row_of",
    "spellings",
]
