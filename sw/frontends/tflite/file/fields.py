"""The fields of the schema's objects that nobody reads: they have to say nothing.

A file may set what the schema has room for. Whatever this package does not read is either text for
people, or has the schema's default value; else the file is refused, because a runtime may heed it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

READ: dict[type, frozenset[str]] = {
    schema.ModelT: frozenset({"version", "operatorCodes", "subgraphs", "buffers"}),
    schema.SubGraphT: frozenset({"tensors", "inputs", "outputs", "operators"}),
    schema.TensorT: frozenset(
        {"shape", "type", "buffer", "name", "quantization", "sparsity", "shapeSignature"}
    ),
    schema.QuantizationParametersT: frozenset({"scale", "zeroPoint", "quantizedDimension"}),
    schema.OperatorT: frozenset(
        {"opcodeIndex", "inputs", "outputs", "builtinOptionsType", "builtinOptions"}
    ),
}
"""What is read of each object, by its schema's name."""

IDLE: dict[type, frozenset[str]] = {
    schema.ModelT: frozenset({"description", "metadata", "metadataBuffer", "signatureDefs"}),
    schema.SubGraphT: frozenset({"name", "debugMetadataIndex"}),
    schema.TensorT: frozenset({"hasRank"}),
    schema.QuantizationParametersT: frozenset({"min", "max"}),
    schema.OperatorT: frozenset({"debugMetadataIndex"}),
}
"""What may have any value: text, and what the converter observed."""


def unread(item: Any) -> str:
    """What ``item`` says in a field that nobody reads, for a message; empty if nothing.

    Args:
        item: one of the schema's objects in ``READ``.
    """
    kind = type(item)
    for name, value in _others(item):
        if not says_nothing(value, vars(kind())[name]):
            return f"{name} of {kind.__name__.removesuffix('T')} is set"
    return ""


def _others(item: Any) -> Iterator[tuple[str, Any]]:
    known = READ[type(item)] | IDLE[type(item)]
    return ((name, value) for name, value in vars(item).items() if name not in known)


def says_nothing(value: Any, default: Any) -> bool:
    """Whether a field has its default value, or is a vector that is empty or all False."""
    if value is None:
        return True
    if isinstance(value, list | np.ndarray):
        vector = np.asarray(value)
        return not len(vector) or (vector.dtype == np.bool_ and not vector.any())
    return bool(value == default)
