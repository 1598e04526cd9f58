"""A node of an ONNX file whose every field is read, or the node is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import onnx

from sw.errors import DnaError
from sw.operators import nearest

DOMAINS = ("", "ai.onnx", "com.microsoft")


class Node:
    """A node.

    Args:
        index: in the file.
        proto: the node.
        alias: other names of tensors, and the names that they have here.

    Attributes:
        kind: its type; of a domain of its own with that in front.
        inputs, outputs: names, empty where one is left out.
    """

    def __init__(self, index: int, proto: Any, alias: Mapping[str, str] | None = None) -> None:
        own = "" if proto.domain in DOMAINS else f"{proto.domain}."
        self.index = index
        self.kind = f"{own}{proto.op_type}"
        self.inputs = [(alias or {}).get(name, name) for name in proto.input]
        self.outputs = list(proto.output)
        self._attributes = {
            item.name: onnx.helper.get_attribute_value(item) for item in proto.attribute
        }
        self._read: set[str] = set()

    def __str__(self) -> str:
        return f"node {self.index} ({self.kind})"

    def refuse(self, what: str, instead: str) -> NoReturn:
        """Raise a DnaError that names the node, what is wrong and what would be right."""
        raise DnaError(f"{self}: {what}; nearest: {instead}")

    def unsupported(self) -> NoReturn:
        """Raise a DnaError: there is no such operator here."""
        self.refuse("this operator is not supported", nearest("onnx", self.kind))

    def input(self, position: int) -> str:
        """The name of an input, empty if it is left out."""
        return self.inputs[position] if position < len(self.inputs) else ""

    def attribute(self, name: str, default: Any) -> Any:
        """An attribute, or its default."""
        self._read.add(name)
        value = self._attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def expect(self, name: str, *accepted: Any) -> None:
        """Refuse an attribute that has another value; the first accepted one is its default."""
        value = self.attribute(name, accepted[0])
        if value not in accepted:
            self.refuse(f"{name} {value}", " or ".join(map(str, accepted)))

    def finish(self, inputs: int, outputs: int = 1) -> None:
        """Refuse what nobody has read: attributes, and inputs and outputs beyond these."""
        unread: Sequence[str] = sorted(set(self._attributes) - self._read)
        if unread:
            name = unread[0]
            self.refuse(f"attribute {name} {self._attributes[name]!r}", f"no {name}")
        for what, names, most in (
            ("input", self.inputs, inputs),
            ("output", self.outputs, outputs),
        ):
            if any(names[most:]):
                self.refuse(f"{what} {most}, {names[most:][0]!r}", f"{most} {what}s")
