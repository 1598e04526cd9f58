"""What a round of MLPerf asks of an edge system, and where it wants the files.

Read from MLPerf's rules and from what its checkers accept; the numbers are facts of the benchmark.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from harness.loadgen.configuration import benchmarks
from harness.loadgen.configuration.benchmarks import Benchmark
from harness.loadgen.configuration.settings import Scenario
from sw.errors import DnaError

MAPPING = "model_mapping.json"
"""In a submitter's folder of the open division: which folder has a network of which benchmark."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """What a network is handed in as.

    Attributes:
        name: as MLPerf's checker calls it.
        benchmark: that is run.
        target: percent that the answers must reach.
    """

    name: str
    benchmark: Benchmark
    target: float

    @property
    def pattern(self) -> re.Pattern[str]:
        """Of the line of ``accuracy.txt`` that says how good the answers are, in percent."""
        word = "accuracy" if self.benchmark is benchmarks.RESNET50 else "mAP"
        return re.compile(rf"^{word}=(\d+\.?\d*)%", re.MULTILINE)


_YOLO11L = 53.4
"""Percent: the mAP of the float32 YOLO11l."""

RESNET50 = Entry(name="resnet50", benchmark=benchmarks.RESNET50, target=0.99 * 76.46)
ENTRIES = {
    entry.name: entry
    for entry in (
        RESNET50,  # 99 % of the float32 network's top-1
        Entry(name="yolo-95", benchmark=benchmarks.YOLO, target=0.95 * _YOLO11L),
        Entry(name="yolo-99", benchmark=benchmarks.YOLO, target=0.99 * _YOLO11L),
    )
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Round:
    """One round.

    Attributes:
        name: as MLPerf's checker calls it.
        scenarios: that an edge system must have.
        tests: compliance tests of the closed division, by the benchmark's name; of one that is not
            here the round has none.
        min_queries: that user.conf must ask for where LoadGen's own default is lower.
        measurements: folder of a scenario's settings in a submitter's tree.
        measurements_file: the file in it.
        compliance: folder of a scenario's compliance tests.
        code: folder of the source code.
        has_mlperf_conf: whether MLPerf's settings are to be handed in as a file.
    """

    name: str
    scenarios: tuple[Scenario, ...]
    tests: Mapping[str, tuple[str, ...]]
    min_queries: dict[Scenario, int]
    measurements: str
    measurements_file: str
    compliance: str
    code: str
    has_mlperf_conf: bool

    def place(self, template: str, system: str, model: str, scenario: str) -> PurePosixPath:
        """One of the folders for a system, a network and a scenario, in the submitter's folder."""
        return PurePosixPath(template.format(system=system, scenario=scenario, model=model))

    def tests_of(self, entry: Entry) -> tuple[str, ...]:
        """The compliance tests of a benchmark.

        Raises:
            DnaError: the round has it not.
        """
        name = entry.benchmark.name
        if name not in self.tests:
            having = (each for each, round_ in ROUNDS.items() if name in round_.tests)
            raise DnaError(f"round {self.name} has no {entry.name}; {', '.join(having)} have")
        return self.tests[name]


RESULTS = "results/{system}/{model}/{scenario}"
_V6_1 = Round(
    name="v6.1",
    scenarios=("SingleStream", "MultiStream", "Offline"),
    tests={"resnet50": ("TEST01", "TEST04"), "yolo": ("TEST01",)},
    min_queries={},
    measurements=RESULTS,
    measurements_file="measurements.json",
    compliance=RESULTS,
    code="src",
    has_mlperf_conf=False,
)
_V1_1 = Round(
    name="v1.1",
    scenarios=("SingleStream", "Offline"),
    tests={"resnet50": ("TEST01", "TEST04-A", "TEST04-B", "TEST05")},
    min_queries={"SingleStream": 1024},
    measurements="measurements/{system}/{model}/{scenario}",
    measurements_file="{system}_dna_{scenario}.json",
    compliance="compliance/{system}/{model}/{scenario}",
    code="code/{model}/dna",
    has_mlperf_conf=True,
)
ROUNDS = {
    "v1.1": _V1_1,
    "v6.0": dataclasses.replace(_V6_1, name="v6.0"),
    "v6.1": _V6_1,
}
NEWEST = "v6.1"


def find(name: str) -> Round:
    """The round called ``name``.

    Raises:
        DnaError: it is unknown.
    """
    if name not in ROUNDS:
        raise DnaError(f"no round {name!r}; there are {', '.join(ROUNDS)}")
    return ROUNDS[name]


def find_entry(name: str) -> Entry:
    """What a network is handed in as.

    Raises:
        DnaError: it is unknown.
    """
    if name not in ENTRIES:
        raise DnaError(f"no benchmark {name!r}; there are {', '.join(ENTRIES)}")
    return ENTRIES[name]
