"""A layer of a class that a pass does not know is an error in each pass, and never taken for one
that it does know."""

import dataclasses

import pytest

from hw.config import PRESETS
from sw.compiler.candidates import Candidates
from sw.compiler.candidates.stripes import stripe_sizes, stripes, units
from sw.compiler.choice import Choice, Links
from sw.compiler.emission.layer import emit_layer
from sw.compiler.estimates import estimate
from sw.compiler.layers import LoopNest, MaxPool, Plane, Window
from sw.compiler.placement import place
from sw.compiler.platform import Platform

NANO = PRESETS["nano"]
PLATFORM = Platform(NANO)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sorcery(LoopNest):
    """Has all that a max-pool has."""

    row_by_row = False
    kind = "sorcery"


def pool():
    return MaxPool(
        number=0,
        operations=("pool",),
        source=Plane("x", 6, 6, 4, 1),
        target=Plane("y", 3, 3, 4, 1),
        window=Window(2, 2, 2, 2),
        zero_point=0,
        macs=0,
    )


def sorcery():
    known = pool()
    return Sorcery(**{f.name: getattr(known, f.name) for f in dataclasses.fields(known)})


@pytest.mark.parametrize(
    "use",
    [
        units,
        stripe_sizes,
        lambda layer: stripes(layer, 1),
        lambda layer: estimate(PLATFORM, layer, Choice(stripes(pool(), 3)), frozenset()),
        lambda layer: Candidates(PLATFORM, [layer]).striped(layer, Links(), layer.tensors),
        lambda layer: place(Candidates(PLATFORM, [layer]), {}, "xy"),
    ],
)
def test_no_pass_takes_it_for_another(use):
    use(pool())
    with pytest.raises(AssertionError, match="unreachable, but got: Sorcery"):
        use(sorcery())


def test_it_has_no_instructions():
    known, unknown = pool(), sorcery()
    (plan,) = place(Candidates(PLATFORM, [known]), {}, ())
    plan = dataclasses.replace(plan, source=plan.target)
    assert emit_layer(NANO, plan, {}, None).stripes
    with pytest.raises(AssertionError, match="unreachable, but got: Sorcery"):
        emit_layer(NANO, dataclasses.replace(plan, layer=unknown), {}, None)
