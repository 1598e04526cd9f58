import pytest

from hw.bus.registers import DEFAULT_WATCHDOG_CYCLES
from sim.memory.model import MemoryModel


def test_random_memories_are_pure_and_differ():
    models = [MemoryModel.random(seed) for seed in range(20)]
    assert models == [MemoryModel.random(seed) for seed in range(20)]
    assert len(set(models)) == 20
    assert {model.bandwidth for model in models} == {0.25, 0.5, 1.0}
    assert {model.reorder for model in models} == {True, False}
    assert all(model.stalls.probability > 0 for model in models)
    with pytest.raises(ValueError, match="non-negative"):
        MemoryModel.random(-1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"latency": 0}, "latency must be at least 1, not 0"),
        ({"bandwidth": 0.0}, "not 0.0"),
        ({"bandwidth": 1.5}, "not 1.5"),
        ({"errors": (range(3, 3),)}, r"not range\(3, 3\)"),
        ({"errors": (range(0, 8, 2),)}, r"not range\(0, 8, 2\)"),
    ],
)
def test_bad_models(values, message):
    with pytest.raises(ValueError, match=message):
        MemoryModel(**values)


def test_the_slower_the_memory_the_longer_the_wait():
    default = MemoryModel()
    assert default.patience(8) == DEFAULT_WATCHDOG_CYCLES
    assert MemoryModel(latency=1).patience(8) == DEFAULT_WATCHDOG_CYCLES
    assert MemoryModel(latency=640).patience(8) == 10 * DEFAULT_WATCHDOG_CYCLES
    assert MemoryModel(bandwidth=0.25).patience(8) == 4 * DEFAULT_WATCHDOG_CYCLES
    slow = MemoryModel.named("sdr-40x16", 1000)
    assert slow.patience(8) == pytest.approx(
        DEFAULT_WATCHDOG_CYCLES * 8 / slow.peak_bytes(8), abs=1
    )
