"""A model in ONNX Runtime, computed as exactly as this CPU and this version allow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnx
import onnxruntime

from sw.errors import DnaError

_MANNERS: Sequence[tuple[Mapping[str, str], Any]] = (
    # Without it sums of uint8 activations saturate on a CPU that has AVX2 or AVX512 but no VNNI.
    ({"session.x64quantprecision": "1"}, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL),
    # That way has no kernel for a convolution of int8 activations, which need none.
    ({}, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL),
    # It also loses the scales of weights without zero point. Every node on its own, in float32:
    # what the file says, and slow.
    ({}, onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL),
)


class OnnxSession:
    """A session of a file with some of its tensors among the outputs.

    A manner of running that ONNX Runtime itself fails in, when it opens the model or when it runs
    it, is left for the next one; each computes the same model.

    Args:
        path: the file.
        names: the tensors.

    Raises:
        DnaError: ONNX Runtime cannot open it.
    """

    def __init__(self, path: Path, names: Iterable[str]) -> None:
        model = onnx.load(path)
        present = {item.name for item in model.graph.output}
        model.graph.output.extend(
            onnx.ValueInfoProto(name=name) for name in names if name not in present
        )
        self._path = path
        self._content = model.SerializeToString()
        self._manners = iter(_MANNERS)
        self._session = self._open()

    @property
    def input_type(self) -> str:
        """What the model reads, ``tensor(float)`` and the like."""
        kind: str = self._session.get_inputs()[0].type
        return kind

    def run(
        self, names: Sequence[str], fed: Mapping[str, npt.NDArray[Any]]
    ) -> Sequence[npt.NDArray[Any]]:
        """The tensors ``names`` for the inputs ``fed``.

        Raises:
            DnaError: ONNX Runtime cannot run it.
        """
        while True:
            try:
                found: Sequence[npt.NDArray[Any]] = self._session.run(list(names), dict(fed))
            except Exception as error:  # its exceptions have no class of their own
                self._session = self._open(error)
            else:
                return found

    def _open(self, failure: Exception | None = None) -> Any:
        for settings, level in self._manners:
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 4  # an error is raised, too
            options.intra_op_num_threads = 1  # a handful of runs: starting threads takes longer
            options.graph_optimization_level = level
            for key, value in settings.items():
                options.add_session_config_entry(key, value)
            try:
                return onnxruntime.InferenceSession(
                    self._content, options, providers=["CPUExecutionProvider"]
                )
            except Exception as error:  # its exceptions have no class of their own
                failure = error
        reason = " ".join(str(failure).split())
        raise DnaError(f"ONNX Runtime cannot run {self._path}: {reason[:300]}") from failure
