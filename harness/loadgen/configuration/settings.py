"""What LoadGen is told: MLPerf's settings of a benchmark, then user.conf, then the command line.

MLPerf's settings are compiled into LoadGen (mlperf.conf): at least 600 s, 1024 samples in memory
(yolo: 64), 24576 samples Offline, seeds and percentiles. Of yolo's 1525 samples Offline only the
rules know.
"""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path
from typing import Literal

from harness.loadgen.binding import mlperf_loadgen
from harness.loadgen.configuration import user_conf as user_conf_file
from harness.loadgen.configuration.benchmarks import RESNET50, Benchmark
from sw.errors import DnaError

Scenario = Literal["SingleStream", "MultiStream", "Offline"]

SEEDS = {
    "v1.1": (1624344308455410291, 517984244576520566, 10051496985653635065),
    "v6.0": (2465351861681999779, 14276810075590677512, 3936089224930324775),
    "v6.1": (2085463073848966840, 2747215439041700203, 16159082839903944936),
}
"""MLPerf draws new seeds for each round: of the sample library, the sample index, the schedule."""

_STREAM_SLACK, _OFFLINE_SLACK = 2, 1.1  # LoadGen's own
OFFLINE_MARGIN = 1.1  # over the measured rate, so that a run does not end before its time
BUILT_IN, USER = 0, 1  # kinds of configuration, as LoadGen numbers them

_AUDITED_SEED = re.compile(
    r"^\s*\*\.\*\.((?:qsl|sample_index|schedule)_rng_seed)\s*=\s*(\d+)", re.MULTILINE
)
_LARGEST_SEED = 2**64 - 1
_EXPECTATION: dict[Scenario, str] = {
    "SingleStream": "single_stream_expected_latency_ns",
    "MultiStream": "multi_stream_expected_latency_ns",
    "Offline": "offline_expected_qps",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Requirements:
    """What MLPerf asks of a run of full length.

    ``queries`` are samples in the Offline scenario, and of 8 samples each in MultiStream.
    """

    duration_ms: int
    queries: int
    samples: int
    photographs: int


def requirements(scenario: Scenario, benchmark: Benchmark = RESNET50) -> Requirements:
    """MLPerf's own, from LoadGen and the rules."""
    settings = _built_in(scenario, benchmark)
    return Requirements(
        duration_ms=settings.min_duration_ms,
        queries=settings.min_query_count,
        samples=settings.performance_sample_count_override,
        photographs=benchmark.photographs,
    )


def _built_in(scenario: Scenario, benchmark: Benchmark) -> mlperf_loadgen.TestSettings:
    settings = mlperf_loadgen.TestSettings()
    settings.FromConfig("", benchmark.name, scenario, BUILT_IN)
    if scenario == "Offline":
        settings.min_query_count = max(settings.min_query_count, benchmark.offline)
    return settings


def build(
    scenario: Scenario,
    *,
    accuracy: bool,
    photographs: int,
    benchmark: Benchmark = RESNET50,
    user_conf: Path | None = None,
    min_duration: float | None = None,
    samples: int | None = None,
) -> mlperf_loadgen.TestSettings:
    """Settings of a test, except for the speed to expect (:func:`expect`).

    A ``min_duration`` below MLPerf's also lowers the count of samples in Offline, unless user.conf
    sets it, to LoadGen's general default: a short run would be long otherwise. The count of queries
    in MultiStream stays: with fewer LoadGen has not enough for its 99th percentile.

    Args:
        scenario: SingleStream, MultiStream or Offline.
        accuracy: run every photograph once instead of measuring speed.
        photographs: how many there are; no more samples are asked for.
        benchmark: whose settings they are.
        user_conf: a LoadGen configuration that overrides MLPerf's.
        min_duration: seconds; overrides user.conf.
        samples: how many samples to hold in memory; overrides user.conf.

    Raises:
        DnaError: user.conf cannot be read, or there are fewer photographs than ``samples``.
    """
    official = _built_in(scenario, benchmark)
    settings = _built_in(scenario, benchmark)
    if user_conf is not None:
        _read(settings, user_conf, scenario, benchmark, audit=False)
    settings.scenario = getattr(mlperf_loadgen.TestScenario, scenario)
    modes = mlperf_loadgen.TestMode
    settings.mode = modes.AccuracyOnly if accuracy else modes.PerformanceOnly
    if min_duration is not None:
        settings.min_duration_ms = round(min_duration * 1000)
        shorter = settings.min_duration_ms < official.min_duration_ms
        by_default = settings.min_query_count == official.min_query_count
        if scenario == "Offline" and shorter and by_default:
            settings.min_query_count = mlperf_loadgen.TestSettings().min_query_count
    if samples is not None:
        if samples > photographs:
            raise DnaError(f"--samples {samples}: there are only {photographs} photographs")
        settings.performance_sample_count_override = samples
    wanted = settings.performance_sample_count_override or photographs
    settings.performance_sample_count_override = min(wanted, photographs)
    return settings


def _read(
    settings: mlperf_loadgen.TestSettings,
    path: Path,
    scenario: Scenario,
    benchmark: Benchmark,
    *,
    audit: bool,
) -> str:
    """Set what a file in LoadGen's form says, and return its text."""
    text = user_conf_file.read(path, audit=audit)
    if settings.FromConfig(str(path), benchmark.name, scenario, USER) != 0:
        raise DnaError(f"{path} is not a LoadGen configuration: LoadGen refuses it")
    return text


def seed(settings: mlperf_loadgen.TestSettings, round_name: str | None) -> None:
    """Set the seeds of a round of MLPerf; None leaves those that are compiled into LoadGen.

    Raises:
        DnaError: the round is unknown.
    """
    if round_name is None:
        return
    if round_name not in SEEDS:
        raise DnaError(f"no seeds are known for round {round_name!r}, only for {', '.join(SEEDS)}")
    sample_library, sample_index, schedule = SEEDS[round_name]
    settings.qsl_rng_seed = sample_library
    settings.sample_index_rng_seed = sample_index
    settings.schedule_rng_seed = schedule


def seed_as_audited(settings: mlperf_loadgen.TestSettings, audit_config: Path) -> None:
    """Set the seeds of a compliance test, which LoadGen overlooks in the file that it reads.

    Args:
        settings: of the test.
        audit_config: the file; nothing happens if it is not there.

    Raises:
        DnaError: the file is no LoadGen configuration, or a seed has more than 64 bits.
    """
    if audit_config.is_file():
        # LoadGen reads the file again itself when it starts.
        scenario: Scenario = settings.scenario.name
        # Its lines are for all models (:mod:`harness.loadgen.configuration.user_conf`).
        audited, default = (_built_in(scenario, RESNET50) for _ in range(2))
        text = _read(audited, audit_config, scenario, RESNET50, audit=True)
        for name in ("min_duration_ms", "min_query_count"):  # :func:`check_size` looks at them
            if getattr(audited, name) != getattr(default, name):
                setattr(settings, name, getattr(audited, name))
        for name, value in _AUDITED_SEED.findall(text):
            if int(value) > _LARGEST_SEED:
                raise DnaError(f"{audit_config}: {name} is {value}, above {_LARGEST_SEED}")
            setattr(settings, name, int(value))


def is_expected(settings: mlperf_loadgen.TestSettings, scenario: Scenario) -> bool:
    """Whether user.conf has said how fast the system is."""
    name = _EXPECTATION[scenario]
    return bool(getattr(settings, name) != getattr(_built_in(scenario, RESNET50), name))


def expect(settings: mlperf_loadgen.TestSettings, scenario: Scenario, rate: float) -> None:
    """Say how fast the system is, in images per second, so that LoadGen makes enough queries."""
    if scenario == "Offline":
        value = rate * OFFLINE_MARGIN
    else:
        samples = settings.multi_stream_samples_per_query if scenario == "MultiStream" else 1
        value = samples * 1e9 / rate
    setattr(settings, _EXPECTATION[scenario], value)


def check_size(settings: mlperf_loadgen.TestSettings, scenario: Scenario) -> None:
    """Refuse a run for which LoadGen would make more samples than fit into memory.

    It makes them before the first query: as many as the expected speed needs for the least
    duration, with a margin (twice that time; in Offline a tenth more), and at least the least
    count of queries.

    Raises:
        DnaError: there are more than :data:`harness.loadgen.configuration.user_conf.MOST_SAMPLES`.
    """
    if settings.mode == mlperf_loadgen.TestMode.AccuracyOnly:
        return
    seconds = settings.min_duration_ms / 1e3
    expectation = getattr(settings, _EXPECTATION[scenario])
    if scenario == "Offline":
        rate, each = expectation, 1
        queries = rate * seconds * _OFFLINE_SLACK
    else:
        each = settings.multi_stream_samples_per_query if scenario == "MultiStream" else 1
        rate = 1e9 / expectation if expectation > 0 else math.inf
        queries = rate * seconds * _STREAM_SLACK
    samples = max(queries, settings.min_query_count) * each
    if not samples <= user_conf_file.MOST_SAMPLES:
        raise DnaError(
            f"LoadGen would make {samples:.3g} samples for {seconds:g} seconds at {rate:.6g} "
            f"queries a second (at least {settings.min_query_count}), more than the "
            f"{user_conf_file.MOST_SAMPLES:,} that fit into memory; a shorter --min-duration or a "
            "lower expected speed or count in user.conf makes fewer"
        )
