"""Whether right answers are more than guessing has."""

from __future__ import annotations

import math

DOUBT = 0.05
"""How often guessing may do as well, for answers to count as better than it."""
ENOUGH = 5
"""So many photographs are guessed wrong by a good network, too, once in a while."""


def chance(right: int, total: int, classes: int) -> float:
    """Probability that guessing among ``classes`` has ``right`` answers of ``total``, or more."""
    if right == 0:
        return 1.0
    share = 1 / classes
    if share == 1:
        return 1.0
    below = (
        math.exp(
            math.lgamma(total + 1)
            - math.lgamma(k + 1)
            - math.lgamma(total - k + 1)
            + k * math.log(share)
            + (total - k) * math.log1p(-share)
        )
        for k in range(right)
    )
    return max(1.0 - math.fsum(below), 0.0)


def remark(right: int, total: int, classes: int) -> str | None:
    """A line for right answers that guessing would have, too; None where they are better.

    Args:
        right: answers.
        total: photographs.
        classes: of the network.
    """
    if total < ENOUGH or chance(right, total, classes) < DOUBT:
        return None
    return (
        f"{right} of {total} right is no better than guessing among {classes} classes: look at the "
        "labels, the class offset and the preprocessing."
    )
