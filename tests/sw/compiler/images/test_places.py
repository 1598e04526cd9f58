import numpy as np
import pytest

from sw.compiler.images.places import UNDER_WAY, Stay, placed
from sw.compiler.placement.blocks import Block

IMAGES = 5


def random_stays(rng, period):
    """Maps of even and odd images with the same lives, and one that is there for good."""
    stays = [Stay(Block(["all"], 5, 0, 0), -100, 10 * period, None)]
    for number in range(int(rng.integers(1, 12))):
        start = int(rng.integers(0, 2 * period))
        stop = int(rng.integers(start, 2 * period))
        size = int(rng.integers(1, 30))
        names = [] if rng.random() < 0.2 else [str(number)]
        for parity in range(UNDER_WAY):
            stays.append(Stay(Block(names, size, 0, 0), start, stop, parity))
    return stays


def turns(stay, image, period):
    shift = 0 if stay.parity is None else image * period
    return range(stay.start + shift, stay.stop + shift + 1)


@pytest.mark.parametrize("seed", range(40))
def test_nothing_is_where_something_else_is(seed):
    rng = np.random.default_rng(seed)
    period = int(rng.integers(1, 10))
    stays = random_stays(rng, period)
    limit = int(rng.integers(40, 400))
    if not placed(stays, period, limit):
        alive = [
            sum(s.block.size for s in stays for n in range(IMAGES) if there(s, n, turn, period))
            for turn in range(IMAGES * period)
        ]
        assert max(alive) > limit / 3  # it is first fit: it may leave gaps
        return
    for turn in range((IMAGES + 1) * period):
        taken = np.zeros(limit, int)
        for stay in stays:
            for image in range(IMAGES if stay.parity is not None else 1):
                if there(stay, image, turn, period):
                    taken[stay.block.base : stay.block.end] += 1
        assert taken.max() <= 1


def there(stay, image, turn, period):
    own = stay.parity is None or image % UNDER_WAY == stay.parity
    return own and turn in turns(stay, image, period)


def test_maps_keep_away_from_those_of_the_turn_before_where_there_is_room():
    def two(limit):
        stays = [Stay(Block([name], 8, 0, 0), at, at, None) for at, name in enumerate("ab")]
        assert placed(stays, 9, limit)
        return [stay.block.base for stay in stays]

    assert two(16) == [0, 8]
    assert two(15) == [0, 0]


def test_no_room():
    stays = [Stay(Block(["map"], 8, 0, 0), 0, 4, parity) for parity in range(UNDER_WAY)]
    assert not placed(stays, 2, 15)
    assert placed(stays, 2, 16)
    assert placed(stays, 6, 8)
