"""The host's parts of a network in the runtime of the file that they were cut from."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from sim.functional import FunctionalModel
from sw.artifact import Artifact
from sw.artifact.host import HEAD, INPUT, TAIL, HostPart, HostTensor, as_held, as_seen
from sw.errors import DnaError
from sw.graph import NOTHING, Graph
from sw.host.extras import needs

Values = npt.NDArray[Any]


class _Session(Protocol):
    def run(self, inputs: list[Values]) -> list[Values]:
        """The outputs in their order."""
        ...


class _LiteRT:
    def __init__(self, content: bytes, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_content=content, num_threads=threads)
        self._interpreter.allocate_tensors()
        self._inputs = [each["index"] for each in self._interpreter.get_input_details()]
        self._outputs = [each["index"] for each in self._interpreter.get_output_details()]

    def run(self, inputs: list[Values]) -> list[Values]:
        for index, values in zip(self._inputs, inputs, strict=True):
            self._interpreter.set_tensor(index, values)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]


class _OnnxRuntime:
    def __init__(self, content: bytes, threads: int) -> None:
        with needs("bench"):
            import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # As in the comparison: no operator joins another one, whose bits would be others.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
        self._inputs = [each.name for each in self._session.get_inputs()]

    def run(self, inputs: list[Values]) -> list[Values]:
        return list(self._session.run(None, dict(zip(self._inputs, inputs, strict=True))))


_SESSIONS: dict[str, Callable[[bytes, int], _Session]] = {
    "litert": _LiteRT,
    "onnxruntime": _OnnxRuntime,
}


class HostModel:
    """A part of a network that the host runs.

    Args:
        part: what it is.
        content: the model.
        threads: of its runtime.

    Raises:
        DnaError: the runtime cannot load it.
    """

    def __init__(self, part: HostPart, content: bytes, threads: int = 1) -> None:
        self.part = part
        try:
            self._session: _Session = _SESSIONS[part.runtime](content, threads)
        except (RuntimeError, ValueError) as error:
            raise DnaError(f"the host's part does not load: {error}") from error

    def run(self, given: Mapping[str, Values]) -> dict[str, Values]:
        """What it makes, by name.

        Args:
            given: what it reads by name: maps of the machine int8, of the graph's shape.

        Raises:
            DnaError: the runtime cannot run it.
        """
        inputs = [_fed(given[tensor.name], tensor) for tensor in self.part.inputs]
        try:
            outputs = self._session.run(inputs)
        except (RuntimeError, ValueError) as error:
            raise DnaError(f"the host's part does not run: {error}") from error
        return {t.name: value for t, value in zip(self.part.outputs, outputs, strict=True)}


def _fed(values: Values, tensor: HostTensor) -> Values:
    if tensor.name == INPUT:
        return np.ascontiguousarray(values, tensor.type).reshape(tensor.shape)
    return as_seen(values, tensor)


class Machine(Protocol):
    """Computes a graph, as :class:`sim.functional.FunctionalModel` does."""

    graph: Graph

    def outputs(
        self,
        image: npt.NDArray[np.int8],
        further: Mapping[str, npt.NDArray[np.int8]] = NOTHING,
    ) -> list[npt.NDArray[np.int8]]:
        """All outputs of the graph for one image, and its other inputs by name."""
        ...


class WholeModel:
    """A network with what the host does: in front of the machine, behind it, from call to call.

    An instance serves one caller at a time. What a network carries from call to call is here: a
    call begins with what the last one ended with, the first one, and one behind :meth:`reset`, with
    the network's own values.

    Args:
        network: the artifact.
        machine: what computes its graph; None: the functional model.
        threads: of that and of the host's runtime.

    Attributes:
        host_seconds: that the host's parts took for the last input, on this computer.
    """

    def __init__(self, network: Artifact, machine: Machine | None = None, threads: int = 1) -> None:
        self._graph = network.graph
        self._machine = machine or FunctionalModel(network.graph, threads)
        host = network.manifest.host
        self._parts = {
            name: HostModel(part, network.host[name], threads) for name, part in host.parts.items()
        }
        self._head, self._tail = host.head, host.tail
        self.host_seconds = 0.0
        self.reset()

    def reset(self) -> None:
        """Let the next call be a first one."""
        self._carried: dict[str, Values] = self._graph.initial()

    def outputs(self, given: Values, further: Mapping[str, Values] = NOTHING) -> dict[str, Values]:
        """The file's outputs by name; without a tail the machine's maps, int8.

        Args:
            given: one input: of the head's type and shape, or int8 of the graph's.
            further: the graph's other inputs by name, int8; those that are carried are not given.

        Raises:
            DnaError: it has another size or type, or a runtime cannot run its part.
        """
        values: dict[str, Values] = {}
        started = time.perf_counter()
        if self._head is not None:
            values[INPUT] = given
            made = self._parts[HEAD].run(values)[self._graph.input]
            shape = self._graph.tensors[self._graph.input].shape
            values[self._graph.input] = as_held(made, self._head.outputs[0]).reshape(shape)
        else:
            values[self._graph.input] = given
        self.host_seconds = time.perf_counter() - started
        values |= {**self._carried, **further}
        more = {name: values[name] for name in self._graph.further if name in values}
        maps = self._machine.outputs(values[self._graph.input], more)
        found: dict[str, Values] = dict(zip(self._graph.outputs, maps, strict=True))
        self._carried = self._graph.carried(found)
        if self._tail is None:
            return {name: found[name] for name in self._graph.answers}
        started = time.perf_counter()
        answers = self._parts[TAIL].run(values | found)
        self.host_seconds += time.perf_counter() - started
        return answers


def entered(network: Artifact, given: Values) -> npt.NDArray[np.int8]:
    """What the machine takes for an input: what the host's head makes of it.

    Args:
        network: the artifact.
        given: as for :meth:`WholeModel.outputs`.
    """
    head = network.manifest.host.head
    if head is None:
        return np.asarray(given, np.int8)
    made = HostModel(head, network.host[HEAD]).run({INPUT: given})
    shape = network.graph.tensors[network.graph.input].shape
    return as_held(made[network.graph.input], head.outputs[0]).reshape(shape)


class HostTime(msgspec.Struct, frozen=True):
    """How long the host's parts take on this computer, in one thread, without the machine.

    Attributes:
        runs: how often they ran.
        ms: the median of an input.
        parts: what they are.
    """

    runs: int
    ms: float
    parts: list[str]

    def __str__(self) -> str:
        return (
            f"on the host, and in no cycle of the machine: {'; '.join(self.parts)}: "
            f"{self.ms:.3f} ms an input here (median of {self.runs}, one thread)"
        )


def host_time(network: Artifact, runs: int = 10) -> HostTime | None:
    """Measure the host's parts; None if there are none."""
    parts = network.manifest.host.parts
    if not parts:
        return None
    head, source = network.manifest.host.head, network.graph.tensors[network.graph.input]
    whole = WholeModel(network)
    given: Values = np.zeros(source.shape, np.int8)
    if head is not None:
        given = np.zeros(head.inputs[0].shape, head.inputs[0].type)
    seconds = []
    for _ in range(runs + 1):  # the first one allocates
        whole.outputs(given)
        seconds.append(whole.host_seconds)
    ms = 1e3 * float(np.median(seconds[1:]))
    return HostTime(runs, ms, [str(part) for part in parts.values()])
