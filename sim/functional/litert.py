"""LiteRT with its XNNPACK delegate: the judge of the integer contract, and the fast engine."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from sw.errors import DnaError
from sw.frontends.tflite.file.runtime import reason
from sw.numerics import Function

Int8 = npt.NDArray[np.int8]
DELEGATE = "DELEGATE"
TABLE = ("BITCAST", "CAST", "GATHER")
"""What a function is that no operator of TFLite is: its byte, as a number, in a table."""
COPIES = (
    *("CONCATENATION", "SLICE", "STRIDED_SLICE", "RESIZE_NEAREST_NEIGHBOR"),
    *("DEPTH_TO_SPACE", "RESHAPE"),
)
BUILT_IN = frozenset(
    {
        "AVERAGE_POOL_2D",
        "MAX_POOL_2D",
        "MINIMUM",
        "MAXIMUM",
        *COPIES,
        *TABLE,
        *(name.upper() for name in get_args(Function)),
    }
)
"""What LiteRT's own kernels may compute: averages always are, a maximum has the same bits anywhere,
and so has a copy, and a function those that LiteRT gave when its table was made.

The delegate declines a maximum over a window of 1 x 1, for example.
"""


class LiteRT:
    """A flatbuffer, loaded and checked to run in the delegate.

    LiteRT's built-in kernels give other bits than XNNPACK's, so an operator that the delegate
    declines would silently change the network.

    Args:
        model: the flatbuffer.
        threads: of XNNPACK's pool.
        built_in: operators that LiteRT's own kernels may compute: those whose bits are theirs in
            the contract, or that change none.

    Raises:
        DnaError: LiteRT cannot load the model, or would run part of it outside the delegate.
    """

    def __init__(self, model: bytes, threads: int = 1, built_in: frozenset[str] = BUILT_IN) -> None:
        self._built_in = built_in
        try:
            self._interpreter = Interpreter(model_content=model, num_threads=threads)
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise DnaError(f"LiteRT cannot load the network: {reason(error)}") from error
        sources = self._interpreter.get_input_details()
        self._inputs = [(source["index"], source["shape"]) for source in sources]
        self._outputs = [item["index"] for item in self._interpreter.get_output_details()]
        self._check_delegation()

    def _check_delegation(self) -> None:
        """Walk back from the outputs: the list of nodes also holds those that a delegate replaced.

        Those come before it, so of two that compute a tensor the later one does.
        """
        nodes: list[dict[str, Any]] = self._interpreter._get_ops_details()
        producer = {int(index): node for node in nodes for index in node["outputs"]}
        waiting, outside, seen = list(self._outputs), set(), set()
        while waiting:
            node = producer.get(waiting.pop())
            if node is None or id(node) in seen:
                continue
            seen.add(id(node))
            waiting += [int(index) for index in node["inputs"]]
            if node["op_name"] != DELEGATE and node["op_name"] not in self._built_in:
                outside.add(node["op_name"])
        if outside:
            raise DnaError(
                f"LiteRT would run part of the network outside the XNNPACK delegate "
                f"({', '.join(sorted(outside))}), which changes its bits; "
                "an operator is not supported or its scales are out of range"
            )

    def run(self, image: npt.NDArray[Any], *further: npt.NDArray[Any]) -> list[Int8]:
        """The outputs for one image.

        Args:
            image: of the type and shape of the input, with or without a batch of 1; int8, unless
                the model quantizes for itself.
            further: inputs, likewise, in the order of the model.

        Returns:
            Arrays without a batch of 1, in the order of the model's outputs; int8, unless the model
            dequantizes for itself.
        """
        for (index, shape), values in zip(self._inputs, (image, *further), strict=True):
            self._interpreter.set_tensor(index, values.reshape(shape))
        try:
            self._interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            raise DnaError(f"LiteRT cannot run the network: {reason(error)}") from error
        outputs = [self._interpreter.get_tensor(index) for index in self._outputs]
        return [output[0] if output.shape[:1] == (1,) else output for output in outputs]
