"""The outcome of a finished test, in LoadGen's own figures."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from harness.loadgen import logs
from harness.loadgen.configuration.settings import Requirements
from harness.loadgen.systems.tasks import Task

ACCURACY_ONLY = "AccuracyOnly"
VALID = "VALID"
MERIT = {"SingleStream": "p90_ms", "MultiStream": "p99_ms", "Offline": "qps"}
"""Which attribute of a :class:`Score` MLPerf ranks a scenario by."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Score:
    """One test.

    Attributes:
        scenario: SingleStream, MultiStream or Offline.
        mode: performance or accuracy.
        valid: LoadGen's verdict; in accuracy mode, whether every photograph was answered.
        images: samples answered.
        seconds: from the first query to the last answer; in accuracy mode, with all loading.
        samples: photographs held in memory at a time.
        full_length: whether the test was as long as MLPerf asks (accuracy: had all photographs).
        shortfalls: what it was short of, such as "20 of 1024 photographs in memory".
        errors: what LoadGen calls errors.
        p90_ms: 90th percentile of a sample's latency, in MultiStream of a query's; None in accuracy
            mode, as the next three.
        p99_ms: the 99th percentile likewise.
        mean_ms: the mean likewise.
        qps: samples per second; queries one after the other in SingleStream and MultiStream.
        top1: share of right answers among those given, 0 to 1, as MLPerf's script for ImageNet
            counts it; None in performance mode, or where answers are no classes.
        map: mean average precision of the boxes, 0 to 1, as MLPerf's script for COCO counts it;
            None likewise.
    """

    scenario: str
    mode: str
    valid: bool
    images: int
    seconds: float
    samples: int
    full_length: bool
    shortfalls: list[str]
    errors: list[str]
    p90_ms: float | None = None
    p99_ms: float | None = None
    mean_ms: float | None = None
    qps: float | None = None
    top1: float | None = None
    map: float | None = None

    @property
    def merit(self) -> float:
        """What MLPerf ranks a performance run by.

        SingleStream: 90th percentile in ms; MultiStream: 99th of a query's latency in ms; Offline:
        samples per second.
        """
        value: float | None = getattr(self, MERIT[self.scenario])
        assert value is not None, "a performance run has all of them"
        return value


def read(output: Path, task: Task, required: Requirements, seconds: float) -> Score:
    """Read the logs of a finished test.

    Args:
        output: where they are.
        task: judges the answers.
        required: what a test of full length has.
        seconds: that the test took.

    Raises:
        DnaError: the logs are missing or damaged.
    """
    detail = logs.Detail(output)
    if detail["effective_test_mode"] == ACCURACY_ONLY:
        return _accuracy(output, detail, task, required, seconds)
    return _performance(detail, required, seconds)


def _accuracy(
    output: Path,
    detail: logs.Detail,
    task: Task,
    required: Requirements,
    seconds: float,
) -> Score:
    judged = task.judge(output)
    shortfalls = _shortfall(judged.answered, required.photographs, "photographs")
    return Score(
        scenario=detail["effective_scenario"],
        mode="accuracy",
        valid=judged.answered == len(task.paths),
        images=judged.answered,
        seconds=seconds,
        samples=detail["effective_performance_sample_count"],
        full_length=not shortfalls,
        shortfalls=shortfalls,
        errors=detail.errors,
        top1=judged.top1,
        map=judged.map,
    )


def _performance(detail: logs.Detail, required: Requirements, seconds: float) -> Score:
    """``seconds`` counts where LoadGen has no rate: of a single query."""
    scenario = detail["effective_scenario"]
    per_query = detail["effective_samples_per_query"]
    images = detail["result_query_count"] * per_query
    percentile, mean = "percentile", "mean"
    if scenario == "Offline":
        qps = rate = detail["result_samples_per_second"]
        queries = _shortfall(per_query, required.queries, "samples")
    else:
        if scenario == "MultiStream":
            percentile, mean = "percentile_per_query", "mean_query"
            qps = rate = per_query * 1e9 / detail["result_mean_query_latency_ns"]
        else:
            qps = detail["result_qps_without_loadgen_overhead"]
            rate = detail["result_qps_with_loadgen_overhead"]
        queries = _shortfall(detail["effective_min_query_count"], required.queries, "queries")
    length = queries + _shortfall(
        detail["effective_min_duration_ms"] / 1000, required.duration_ms / 1000, "seconds"
    )
    samples = detail["effective_performance_sample_count"]
    return Score(
        scenario=scenario,
        mode="performance",
        valid=detail["result_validity"] == VALID,
        images=images,
        seconds=images / rate if rate else seconds,
        samples=samples,
        full_length=not length,
        shortfalls=length + _shortfall(samples, required.samples, "photographs in memory"),
        errors=detail.errors,
        p90_ms=detail[f"result_90.00_{percentile}_latency_ns"] / 1e6,
        p99_ms=detail[f"result_99.00_{percentile}_latency_ns"] / 1e6,
        mean_ms=detail[f"result_{mean}_latency_ns"] / 1e6,
        qps=qps,
    )


def _shortfall(actual: float, required: float, unit: str) -> list[str]:
    return [f"{actual:g} of {required:g} {unit}"] if actual < required else []
