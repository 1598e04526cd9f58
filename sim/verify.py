"""Runs layers of a quantized network through the hardware and compares every value.

The layers are independent given their inputs, so they fan out over processes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import fnmatch
import multiprocessing
import signal
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import numpy.typing as npt

from hw.config import DnaConfig
from sim.rtl.engine import Engine, EngineName, open_engine
from sim.rtl.vcd import Waves
from sim.streams import Layer, LayerStreams, layer_of
from sw.errors import DnaError
from sw.graph import Graph, Weighted

Int8 = npt.NDArray[np.int8]


@dataclasses.dataclass(frozen=True)
class Mismatch:
    """A value that differs.

    Attributes:
        where: (y, x, channel) of the layer's output; (0, 0, channel) of a classifier.
        expected: by the functional model.
        got: from the hardware.
        cycle: in which the hardware gave it.
        window: cycles worth a look: the tile's last pass up to the value.
    """

    where: tuple[int, int, int]
    expected: int
    got: int
    cycle: int
    window: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class LayerResult:
    """How one layer went.

    Attributes:
        name: of the layer.
        shape: of its output (height, width, channels).
        values: values compared.
        mismatches: values that differ.
        cycles: from reset to the last value.
        macs: multiply-accumulates of the layer.
        utilization: ``macs`` / (R * C * ``cycles``), of the one convolution module.
        seconds: that it took.
        first: the mismatch that came first out of the hardware.
        error: why the hardware did not finish.
    """

    name: str
    shape: tuple[int, ...]
    values: int
    mismatches: int
    cycles: int
    macs: int
    utilization: float
    seconds: float
    first: Mismatch | None = None
    error: str | None = None

    @property
    def passed(self) -> bool:
        """Whether values were compared and none differs."""
        return self.values > 0 and not self.mismatches and self.error is None


def choose(graph: Graph, pattern: str) -> list[Weighted]:
    """The convolutions and classifier layers whose names match a glob, in order.

    Raises:
        DnaError: none does; the message gives near names.
    """
    operations = list(graph.weighted())
    chosen = [op for op in operations if fnmatch.fnmatchcase(op.name, pattern)]
    if not chosen:
        names = [op.name for op in operations]
        near = difflib.get_close_matches(pattern.strip("*"), names, cutoff=0.3) or names[:3]
        raise DnaError(
            f"no convolution or classifier layer matches {pattern!r}; "
            f"there are {len(names)}, for example {', '.join(near)}"
        )
    return chosen


def layers_of(
    graph: Graph, operations: Sequence[Weighted], tensors: dict[str, Int8]
) -> list[Layer]:
    """Layers with their inputs and expected outputs from ``tensors``, int8 arrays by name."""
    return [layer_of(graph, op, tensors[op.inputs[0]], tensors[op.output]) for op in operations]


def open_path(engine: EngineName, config: DnaConfig) -> Engine:
    """An engine with the device under test; compiles it when it must.

    Raises:
        DnaError: what the engine needs is missing.
    """
    from hw.convolution_path import ConvolutionPath

    return open_engine(engine, ConvolutionPath, config=config)


def verify_layer(
    engine: Engine, config: DnaConfig, layer: Layer, waves: Waves | None = None
) -> LayerResult:
    """Run one layer and compare every value.

    Args:
        engine: from :func:`open_path` for the same ``config``.
        waves: wave file to write, in cycles of the layer. Of a layer that takes several runs (its
            streams exceed ``sim.streams.CHUNK_BYTES``) it shows the run in which it starts, with
            times that count from there.

    Raises:
        DnaError: the waves start after the layer's last cycle.
    """
    started = time.perf_counter()
    streams = LayerStreams(config, layer)
    height, width, channels = layer.expected.shape
    got = np.zeros((height * width, channels), np.int8)
    cycle_of = np.zeros((height * width, channels), np.int64)
    cycles, wanted, error = 0, waves, None
    for chunk in streams.chunks():
        window = wanted and dataclasses.replace(
            wanted, start=wanted.start - cycles, stop=wanted.stop - cycles
        )
        try:
            result = engine.run(
                chunk.inputs, {"outputs": chunk.output_words}, streams.statics, waves=window
            )
        except DnaError as reason:
            error = str(reason)
            break
        words, accepted = result.outputs["outputs"], result.accepted["outputs"]
        lanes, done = words.shape[1], 0
        for tile in chunk.tiles:
            size = len(tile.pixels) * streams.words_per_pixel
            place = np.s_[
                tile.pixels.start : tile.pixels.stop, tile.channels.start : tile.channels.stop
            ]
            values = words[done : done + size].view(np.int8).reshape(len(tile.pixels), -1)
            times = np.repeat(accepted[done : done + size], lanes).reshape(len(tile.pixels), -1)
            got[place] = values[:, : len(tile.channels)]
            cycle_of[place] = times[:, : len(tile.channels)] + cycles
            done += size
        cycles += result.cycles
        if wanted is not None and cycles > wanted.start:
            wanted = None
    if wanted is not None and error is None:
        raise DnaError(
            f"{layer.name} ends after {cycles} cycles; --cycles {wanted.start}:{wanted.stop} "
            "begins later"
        )
    finished = error is None
    differs = got.reshape(layer.expected.shape) != layer.expected
    return LayerResult(
        name=layer.name,
        shape=layer.expected.shape,
        values=layer.expected.size if finished else 0,
        mismatches=int(np.count_nonzero(differs)) if finished else 0,
        cycles=cycles,
        macs=layer.macs,
        utilization=layer.macs / (config.rows * config.columns * cycles) if finished else 0.0,
        seconds=time.perf_counter() - started,
        first=_first(config, layer, got, cycle_of, differs) if finished else None,
        error=error,
    )


def _first(
    config: DnaConfig,
    layer: Layer,
    got: Int8,
    cycle_of: npt.NDArray[np.int64],
    differs: npt.NDArray[np.bool_],
) -> Mismatch | None:
    if not differs.any():
        return None
    flat = np.flatnonzero(differs)
    index = flat[np.argmin(cycle_of.ravel()[flat])]
    y, x, channel = (int(i) for i in np.unravel_index(index, layer.expected.shape))
    cycle = int(cycle_of.ravel()[index])
    before = config.accumulation_depth + config.rows + config.columns
    return Mismatch(
        where=(y, x, channel),
        expected=int(layer.expected.ravel()[index]),
        got=int(got.ravel()[index]),
        cycle=cycle,
        window=(max(0, cycle - before), cycle + 1),
    )


_worker: tuple[Engine, DnaConfig] | None = None


def _start_worker(engine: EngineName, config: DnaConfig) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops us
    _worker = open_path(engine, config), config


def _work(layer: Layer) -> LayerResult:
    assert _worker is not None
    return verify_layer(*_worker, layer)


def verify_layers(
    engine: EngineName, config: DnaConfig, layers: Sequence[Layer], jobs: int
) -> Generator[LayerResult]:
    """Verify layers in ``jobs`` processes, the largest first; results come as they are ready.

    Closing the iterator stops the processes.

    Raises:
        DnaError: what the engine needs is missing, or a process died.
    """
    opened = open_path(engine, config)
    ordered = sorted(layers, key=lambda layer: layer.macs, reverse=True)
    if jobs == 1 or len(layers) == 1:
        for layer in ordered:
            yield verify_layer(opened, config, layer)
        return
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        min(jobs, len(layers)),
        multiprocessing.get_context("spawn"),
        _start_worker,
        (engine, config),
    )
    finished = False
    try:
        futures = [pool.submit(_work, layer) for layer in ordered]
        for future in as_completed(futures):
            yield future.result()
        finished = True
    except BrokenProcessPool as error:
        raise DnaError(
            "a verification process died, perhaps for lack of memory; try fewer --jobs"
        ) from error
    finally:
        if not finished:
            for process in set(multiprocessing.active_children()) - before:
                with contextlib.suppress(OSError):
                    process.terminate()
        pool.shutdown(cancel_futures=True)
