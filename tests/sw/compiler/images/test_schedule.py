import numpy as np
import pytest

from hw.config import PRESETS
from sw.compiler.candidates import Candidates
from sw.compiler.images.schedule import in_sequence, schedules
from sw.compiler.lowering import lower
from sw.compiler.placement import place
from sw.compiler.platform import Platform
from sw.compiler.selection.links import choose_links
from tests.support.graphs import random_small_graph


@pytest.fixture(scope="module")
def plans():
    graph = random_small_graph(np.random.default_rng(3), (64, 64, 3))
    config = PRESETS["micro"]
    candidates = Candidates(Platform(config), lower(graph, config))
    return place(candidates, choose_links(candidates), (*graph.sources, graph.output))


def test_a_layer_beside_another_shares_its_turns(plans):
    schedule = in_sequence(plans)
    assert sorted(plan.layer.number for group in schedule.groups for plan in group) == [
        plan.layer.number for plan in plans
    ]
    beside = [plan.layer.number for plan in plans if plan.choice.after]
    assert beside
    for group in schedule.groups:
        assert [plan.layer.number in beside for plan in group] == [False] + [True] * (
            len(group) - 1
        )


def test_in_sequence_no_image_begins_before_the_last_one_ended(plans):
    schedule = in_sequence(plans)
    assert not schedule.overlaps
    images = [image for image, _ in schedule.order(3)]
    assert images == sorted(images)


def test_one_half_is_at_most_twice_the_other(plans):
    cuts = [schedule.cut for schedule in schedules(plans)]
    period = in_sequence(plans).period
    assert len(cuts) > 2
    assert all(period / 3 <= cut <= 2 * period / 3 for cut in cuts)
    distances = [abs(2 * cut - period) for cut in cuts]
    assert distances == sorted(distances)


def test_the_first_schedule_has_equal_halves_that_take_turns(plans):
    schedule = next(iter(schedules(plans)))
    assert schedule.overlaps
    assert abs(2 * schedule.cut - schedule.period) <= max(
        schedule.stripes(number) for number in range(len(schedule.groups))
    )
    steady = [image for image, _ in schedule.order(3)][
        schedule.cut : schedule.cut + schedule.period
    ]
    assert set(steady) == {0, 1}
    longest = max(len(run) for run in "".join(map(str, steady)).replace("01", "0 1").split())
    assert longest <= 3


@pytest.mark.parametrize("images", [1, 2, 5])
def test_every_schedule_keeps_the_order_of_each_image(plans, images):
    for schedule in schedules(plans):
        order = schedule.order(images)
        assert len(order) == images * schedule.period == images * len(schedule.units)
        for image in range(images):
            own = [unit for other, unit in order if other == image]
            assert own == list(schedule.units)
        for group in range(len(schedule.groups)):
            turns = [image for image, unit in order if unit.group == group]
            assert turns == sorted(turns)


def test_no_more_than_two_images_are_under_way(plans):
    for schedule in schedules(plans):
        order = [image for image, _ in schedule.order(4)]
        for image in range(2):
            last = max(at for at, other in enumerate(order) if other == image)
            assert last < order.index(image + 2)
