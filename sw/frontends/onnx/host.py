"""Nodes of an ONNX file that are the host's: what stands behind the logits."""

from __future__ import annotations

from sw.frontends.onnx.node import Node
from sw.frontends.onnx.values import Hosted, Values


class Host(Values):
    """Leaves to the host what nothing on the machine reads."""

    def softmax(self, node: Node) -> None:
        """Softmax and its like over the one row of logits, or of what the host made of them."""
        value = self.values.get(node.input(0))
        if not isinstance(value, Hosted):
            if node.kind.startswith("QLinear"):
                read = self.activation_input(node, 0)
            else:
                read = self.read(node, node.input(0))
            if len(self.build.tensor(read.name).shape) == 3 and not read.flat:
                node.refuse("it reads a map", f"Flatten in front of {node.kind}, at the end")
            value = Hosted(read, node.input(0))
        if node.kind.startswith("QLinear"):
            if not node.input(4):  # ONNX Runtime ends the process there
                node.refuse("its output has no zero point", "one")
            self.quantized[node.outputs[0]] = self.quantization(node, 3)[2]
        if node.kind == "ArgMax":
            if node.attribute("axis", 0) not in (1, -1):
                node.refuse(f"axis {node.attribute('axis', 0)}", "axis 1 or -1")
            node.attribute("keepdims", 1)
            node.expect("select_last_index", 0)
        elif "Softmax" in node.kind:
            node.expect("axis", -1, 1)
            node.attribute("opset", 0)
        node.finish(5)
        self.values[node.outputs[0]] = value
        self.notes.append(f"{node} is left to the host; the artifact ends with {value.border!r}")
