import numpy as np
import pytest

from harness.explore.evaluate import Outcome
from harness.explore.results import Row, ranked, row
from harness.hardware.area import area
from harness.hardware.timing.clock import Clock
from hw.config import PRESETS


def test_the_figures_of_a_row():
    config = PRESETS["micro"]
    made = row(config, Outcome(cycles=200_000, macs=25_600_000, dram_bytes=10**6), Clock(250.0))
    assert made.latency_ms == pytest.approx(0.8)
    assert made.throughput_per_s == pytest.approx(1250)
    assert made.utilization == pytest.approx(0.5)
    assert made.dram_gb_per_s == pytest.approx(1.25)
    assert made.luts == area(config).luts


def test_a_refused_row_has_a_reason_and_no_figures():
    made = row(PRESETS["nano"], Outcome(refused="too small"), Clock(300.0))
    assert (made.refused, made.cycles, made.area) == ("too small", 0, None)


def random_rows(rng):
    return [
        Row(
            name=str(number),
            parameters=None,
            clock=Clock(300.0),
            refused="no" if rng.random() < 0.2 else None,
            latency_ms=float(rng.integers(1, 8)),
            luts=float(rng.integers(1, 8)),
            mj=float(rng.integers(1, 8)),
        )
        for number in range(int(rng.integers(1, 20)))
    ]


FRONTS = {
    "front": lambda row: (row.latency_ms, row.luts, row.mj),
    "area_front": lambda row: (row.latency_ms, row.luts),
}


@pytest.mark.parametrize("mark", FRONTS)
@pytest.mark.parametrize("seed", range(15))
def test_nothing_beats_the_front_and_the_front_beats_the_rest(seed, mark):
    rows = random_rows(np.random.default_rng(seed))
    marked = ranked(rows)
    assert {made.name for made in marked} == {made.name for made in rows}
    runs = [made for made in marked if made.refused is None]
    assert marked[: len(runs)] == runs
    places = [FRONTS[mark](made) for made in runs]
    front = {place for place, made in zip(places, runs, strict=True) if getattr(made, mark)}
    assert len(front) == sum(getattr(made, mark) for made in marked)
    for place in places:
        beaten = any(
            other != place and all(a <= b for a, b in zip(other, place, strict=True))
            for other in places
        )
        assert (place in front) == (not beaten)
