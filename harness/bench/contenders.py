"""The contenders of `dna bench`: our functional model and its peers, each as suits it best.

Where the better choice of format or back end depends on the CPU, a contender has variants, and the
fastest one speaks for it. Every variant computes the same integer graph.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.bench import onnx_qdq
from sw.graph import Graph

Int8 = npt.NDArray[np.int8]
Array = npt.NDArray[Any]

OURS = "functional"
UNSIGNED = onnx_qdq.SIGNED_TO_UNSIGNED


@dataclasses.dataclass(frozen=True)
class Session:
    """A loaded network.

    Attributes:
        prepare: int8 [height, width, channels] to whatever the contender likes best; not timed.
        infer: what ``prepare`` made to outputs as the contender leaves them; this is timed.
        decode: those to int8 [values], all outputs one after the other; not timed.
        kernels: what the engine's own records say that convolutions are computed with, the most
            frequent first; nothing if it keeps none. ``infer`` has run before.
    """

    prepare: Callable[[Int8], Any]
    infer: Callable[[Any], Any]
    decode: Callable[[Any], Int8]
    kernels: Callable[[], list[str]] = list


Load = Callable[[Graph, int], Session]
"""Makes a session of a graph that uses so many threads."""


def _functional(graph: Graph, threads: int) -> Session:
    from sim.functional import FunctionalModel
    from sim.functional.isa import chosen

    model = FunctionalModel(graph, threads)
    isa = chosen()
    return Session(
        lambda image: image, model.outputs, joined, lambda: [isa.name if isa else "LiteRT"]
    )


def _litert(graph: Graph, threads: int) -> Session:
    from sim.functional.flatbuffer import emit
    from sim.functional.litert import LiteRT

    model = LiteRT(emit(graph), threads)
    return Session(lambda image: image, model.run, joined)


def joined(outputs: Iterable[Int8]) -> Int8:
    """All values of several tensors, int8 [values]."""
    return np.concatenate([values.ravel() for values in outputs])


def _frequent(names: Iterable[str]) -> list[str]:
    return [name for name, _ in Counter(names).most_common()]


def _encode(image: Int8, signed: bool) -> Array:
    """[1, channels, height, width], int8 or uint8."""
    values = image if signed else image.view(np.uint8) ^ np.uint8(UNSIGNED)
    return np.ascontiguousarray(values.transpose(2, 0, 1)[np.newaxis])


def _decode(outputs: Iterable[Array]) -> Int8:
    """Of maps [1, channels, height, width] or vectors [1, classes], int8 or uint8."""
    values = joined(np.moveaxis(output, 1, -1) for output in outputs)
    return values if values.dtype == np.int8 else (values ^ np.uint8(UNSIGNED)).view(np.int8)


def _onnxruntime(signed: bool) -> Load:
    def load(graph: Graph, threads: int) -> Session:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        model = onnx_qdq.emit(graph, signed=signed, subsample=False)
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return Session(
            lambda image: {graph.input: _encode(image, signed)},
            lambda feed: session.run(None, feed),
            _decode,
        )

    return load


def _openvino(subsample: bool) -> Load:
    def load(graph: Graph, threads: int) -> Session:
        import openvino

        core = openvino.Core()
        model = core.read_model(onnx_qdq.emit(graph, signed=False, subsample=subsample))
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",  # of what is not int8: bfloat16 is slower here
        }
        compiled = core.compile_model(model, "CPU", settings)
        request = compiled.create_infer_request()

        def infer(image: Any) -> Any:
            request.set_input_tensor(image)
            request.infer()
            return [request.get_output_tensor(i).data for i in range(len(graph.outputs))]

        def kernels() -> list[str]:
            records = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
            return _frequent(
                str(record["primitiveType"].value)
                for record in records
                if str(record["layerType"].value) in ("Convolution", "FullyConnected")
            )

        return Session(
            lambda image: openvino.Tensor(_encode(image, False)), infer, _decode, kernels
        )

    return load


def _torch(back_end: str, fuse: bool) -> Load:
    def load(graph: Graph, threads: int) -> Session:
        from harness.bench.torch_int8 import TorchModel

        model = TorchModel(graph, threads, back_end=back_end, fuse=fuse)
        return Session(
            model.prepare, model.infer, model.decode, lambda: _frequent(model.implementations())
        )

    return load


CONTENDERS: Mapping[str, Mapping[str, Load]] = {
    OURS: {"": _functional},
    "openvino": {
        "plain": _openvino(subsample=False),
        "subsampled": _openvino(subsample=True),
    },
    "onnxruntime": {"uint8": _onnxruntime(signed=False), "int8": _onnxruntime(signed=True)},
    "litert": {"": _litert},
    "torch": {
        "onednn": _torch("onednn", fuse=False),
        "onednn fused": _torch("onednn", fuse=True),
        "fbgemm": _torch("fbgemm", fuse=False),
    },
}
"""Variants by name, contenders by name; our own first."""
