import pytest

from sim.memory.stalls import Stalls


@pytest.mark.parametrize(("probability", "seed"), [(1.0, 0), (-0.1, 0), (0.5, -1)])
def test_bad_stalls(probability, seed):
    with pytest.raises(ValueError, match="must"):
        Stalls(probability, seed)


def test_stall_rate():
    stalls = Stalls(0.25, 3)
    count = sum(stalls.stalled(stream, cycle) for stream in range(4) for cycle in range(1000))
    assert 800 < count < 1200
