import pytest

from harness.loadgen import logs
from harness.loadgen.results import pace
from harness.loadgen.systems.modelled import ModelledSystem
from tests.support.toy_machine import MACHINE


def write_logs(folder, latency_ns, scenario="SingleStream"):
    values = {
        "effective_scenario": scenario,
        "effective_samples_per_query": 1,
        **{f"result_{name}_latency_ns": latency_ns for name in ("min", "mean", "max")},
        **{f"result_{name}_percentile_latency_ns": latency_ns for name in pace.PERCENTILES},
    }
    lines = [
        logs.entry({"key": key, "value": value, "metadata": {"is_error": False}})
        for key, value in values.items()
    ]
    (folder / logs.DETAIL).write_text("".join(lines))


@pytest.mark.parametrize(("late_us", "kept"), [(0, True), (9, True), (-9, True), (11, False)])
def test_pace_is_held_against_the_model(tmp_path, late_us, kept):
    write_logs(tmp_path, 1_000_000 + 1000 * late_us)
    system = ModelledSystem({}, MACHINE.completion)
    system.late.extend([late_us * 1e-6, 0.0])
    found = pace.pace(MACHINE, system, tmp_path, 1 + late_us * 1e-3, 2e-6)
    assert found.kept is kept
    assert found.error == pytest.approx(late_us * 1e-3)
    assert found.outside == (0 if kept else 1)
    assert found.errors["90.00"] == pytest.approx(late_us * 1e-3)
    assert found.overhead_us == pytest.approx(2)
