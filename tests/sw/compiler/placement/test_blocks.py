import pytest

from sw.compiler.placement.blocks import Block, first_fit


def block(base, size, born=0, dies=0):
    return Block([], size, born, dies, base)


@pytest.mark.parametrize(
    ("taken", "size", "base"),
    [
        ([], 10, 0),
        ([], 11, None),
        ([block(0, 4)], 6, 4),
        ([block(0, 4)], 7, None),
        ([block(6, 4), block(0, 4)], 2, 4),
        ([block(6, 4), block(0, 4)], 3, None),
        ([block(0, 8), block(2, 3)], 2, 8),  # one inside another
        ([block(3, 2)], 3, 0),
        ([block(3, 2)], 4, 5),
    ],
)
def test_the_lowest_gap_that_is_large_enough(taken, size, base):
    assert first_fit(taken, size, 10) == base


@pytest.mark.parametrize(
    ("lives", "apart", "meet"),
    [
        (((0, 2), (2, 4)), 0, True),
        (((0, 2), (3, 4)), 0, False),
        (((0, 2), (3, 4)), 1, True),
        (((5, 6), (3, 3)), 1, False),
        (((0, 9), (3, 4)), 0, True),
    ],
)
def test_blocks_meet_where_their_lives_do(lives, apart, meet):
    first, second = (block(0, 1, born, dies) for born, dies in lives)
    assert first.meets(second, apart) == second.meets(first, apart) == meet
