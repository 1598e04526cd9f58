"""What a round of MLPerf asks of ResNet50 on an edge system, and where it wants the files.

Read from MLPerf's rules and from what its checkers accept; the numbers are facts of the benchmark.
"""

from __future__ import annotations

import dataclasses
from pathlib import PurePosixPath

from harness.loadgen.configuration.settings import Scenario
from sw.errors import DnaError

ACCURACY_TARGET = 0.99 * 76.46
"""Percent: 99 % of the float32 model's top-1."""

MODEL_FOLDER = "resnet50"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Round:
    """One round.

    Attributes:
        name: as MLPerf's checker calls it.
        scenarios: that an edge system must have.
        tests: compliance tests of the closed division.
        min_queries: that user.conf must ask for where LoadGen's own default is lower.
        measurements: folder of a scenario's settings in a submitter's tree.
        measurements_file: the file in it.
        compliance: folder of a scenario's compliance tests.
        code: folder of the source code.
        has_mlperf_conf: whether MLPerf's settings are to be handed in as a file.
    """

    name: str
    scenarios: tuple[Scenario, ...]
    tests: tuple[str, ...]
    min_queries: dict[Scenario, int]
    measurements: str
    measurements_file: str
    compliance: str
    code: str
    has_mlperf_conf: bool

    def place(self, template: str, system: str, scenario: str) -> PurePosixPath:
        """One of the folders for a system and a scenario, relative to the submitter's folder."""
        return PurePosixPath(template.format(system=system, scenario=scenario, model=MODEL_FOLDER))


RESULTS = "results/{system}/{model}/{scenario}"
_V6_1 = Round(
    name="v6.1",
    scenarios=("SingleStream", "MultiStream", "Offline"),
    tests=("TEST01", "TEST04"),
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
    tests=("TEST01", "TEST04-A", "TEST04-B", "TEST05"),
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
