"""The benchmarks of MLPerf that networks are run as; their numbers are facts of its rules."""

from __future__ import annotations

import dataclasses

from sw.errors import DnaError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One benchmark.

    Attributes:
        name: as LoadGen's settings call it.
        photographs: in its data set.
        data: what that is.
        offline: least samples of an Offline run.
        sampled: answers that the compliance test TEST01 logs.
        metric: which attribute of a score (:mod:`harness.loadgen.results.score`) judges answers.
        metric_name: what people call it.
    """

    name: str
    photographs: int
    data: str
    offline: int
    sampled: int
    metric: str
    metric_name: str


RESNET50 = Benchmark(
    name="resnet50",
    photographs=50_000,
    data="ImageNet's validation set",
    offline=24_576,
    sampled=4096,
    metric="top1",
    metric_name="top-1",
)
YOLO = Benchmark(
    name="yolo",
    photographs=1525,
    data="MLPerf's part of COCO's validation set",
    offline=1525,
    sampled=64,
    metric="map",
    metric_name="mAP",
)
BENCHMARKS = {each.name: each for each in (RESNET50, YOLO)}


def find(name: str) -> Benchmark:
    """The benchmark called ``name``.

    Raises:
        DnaError: it is unknown.
    """
    if name not in BENCHMARKS:
        raise DnaError(f"no benchmark {name!r}; there are {', '.join(BENCHMARKS)}")
    return BENCHMARKS[name]
