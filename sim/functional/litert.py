"""LiteRT with its XNNPACK delegate: the judge of the integer contract, and the fast engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from sw.errors import DnaError

Int8 = npt.NDArray[np.int8]


class LiteRT:
    """A flatbuffer with one int8 input, loaded and checked to run whole in the delegate.

    LiteRT's built-in kernels give other bits than XNNPACK's, so an operator that the delegate
    declines would silently change the network.

    Args:
        model: the flatbuffer.
        threads: of XNNPACK's pool.

    Raises:
        DnaError: LiteRT cannot load the model, or would run part of it outside the delegate.
    """

    def __init__(self, model: bytes, threads: int = 1) -> None:
        try:
            self._interpreter = Interpreter(model_content=model, num_threads=threads)
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise DnaError(f"LiteRT cannot load the network: {error}") from error
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = [item["index"] for item in self._interpreter.get_output_details()]
        self._check_one_delegate()

    def _check_one_delegate(self) -> None:
        nodes: list[dict[str, Any]] = self._interpreter._get_ops_details()
        delegates = [node for node in nodes if node["op_name"] == "DELEGATE"]
        # The replaced operators stay in the list, so look at the edges: a node left outside either
        # produces an output of the network or something that a delegate reads.
        computed = {int(index) for node in nodes for index in node["outputs"]}
        whole = (
            len(delegates) == 1
            and computed.isdisjoint(int(index) for index in delegates[0]["inputs"])
            and {int(index) for index in delegates[0]["outputs"]} >= set(self._outputs)
        )
        if not whole:
            raise DnaError(
                f"LiteRT would run part of the network outside the XNNPACK delegate "
                f"({len(delegates)} delegate nodes), which changes its bits; "
                "an operator is not supported or its scales are out of range"
            )

    def run(self, image: Int8) -> list[Int8]:
        """The outputs for one image.

        Args:
            image: int8 of the shape of the input without the batch dimension.

        Returns:
            int8 arrays without the batch dimension, in the order of the model's outputs.
        """
        self._interpreter.set_tensor(self._input, image[np.newaxis])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index)[0] for index in self._outputs]
