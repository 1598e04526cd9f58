"""Where feature maps live: in feature memory by their lifetimes, or in DRAM when there is no room.

Maps are placed by decreasing size, each at the lowest address where nothing that lives at the same
time is (offline first-fit by size, as in Pisarchyk and Lee, "Efficient Memory Management for Deep
Neural Net Inference", 2020). When one does not fit, the largest map in its way goes to DRAM, and
placing starts again; layers that read or write DRAM then get slabs in what is left. Where there is
room, maps also keep away from those that the layer before or after still needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sw.compiler.candidates import Candidates
from sw.compiler.choice import Links
from sw.compiler.layers import Depthwise
from sw.compiler.placement.attempt import Attempt, NoRoomError, layer_parameter_words
from sw.compiler.placement.maps import FeatureMaps
from sw.compiler.placement.plan import Place, Plan
from sw.errors import DnaError

__all__ = ["DoesNotFitError", "Place", "Plan", "place"]


class DoesNotFitError(DnaError):
    """A layer has no room in the feature memory."""


def place(candidates: Candidates, links: Mapping[int, Links], outside: Iterable[str]) -> list[Plan]:
    """Plan every layer: each runs in the quickest way that has room.

    Args:
        candidates: the ways to run every layer.
        links: of the convolutions, by layer number.
        outside: tensors that live in DRAM whatever happens: the network's inputs and outputs.

    Raises:
        DoesNotFitError: a layer does not fit even if everything else is in DRAM.
    """
    _check_size(candidates, links)
    maps = FeatureMaps(candidates.platform.config, candidates.layers, links)
    in_dram = set(outside)
    while True:
        attempt = Attempt(candidates, links, maps, in_dram)
        try:
            tight = attempt.plans(roomy=False)
        except NoRoomError as error:
            if not error.tensors:
                raise DoesNotFitError("the weights of depthwise layers leave no room") from error
            in_dram.add(maps.largest(error.tensors))
            continue
        try:
            roomy = attempt.plans(roomy=True)
        except NoRoomError:  # no slabs between maps that lie so loosely
            return tight
        return min(roomy, tight, key=_cycles)


def _cycles(plans: list[Plan]) -> int:
    return sum(plan.way.estimate.cycles for plan in plans)


def _check_size(candidates: Candidates, links: Mapping[int, Links]) -> None:
    config = candidates.platform.config
    # Beside a layer, the weights of a depthwise one, its own or those of the next.
    weights = [
        layer_parameter_words(config, layer) if isinstance(layer, Depthwise) else 0
        for layer in candidates.layers
    ]
    needs = [
        candidates.smallest(layer, links.get(layer.number, Links())) + sum(weights[n : n + 2])
        for n, layer in enumerate(candidates.layers)
    ]
    most = max(needs)
    if most > config.feature_words:
        name = candidates.layers[needs.index(most)].name
        raise DoesNotFitError(
            f"{name} needs {most} feature words for one output row; configuration {config.name} "
            f"has {config.feature_words}: needs feature_words of at least "
            f"{1 << (most - 1).bit_length()}"
        )
