"""Which class a logit stands for, and how many there are.

TensorFlow's ImageNet networks count a "background" as class 0, so they have 1001 logits, and logit
1 is what everybody else calls class 0. The number of logits in front of class 0 is a network's
class offset: a label is the number of the largest logit less the offset (MLPerf's reference does it
with ``PostProcessArgMax(offset=-1)``), and -1 is the background.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from sw.errors import DnaError

BACKGROUND = "background"
IMAGENET = 1000


@dataclasses.dataclass(frozen=True)
class Classes:
    """The logits of a network.

    Attributes:
        names: one for each logit.
        offset: logits in front of class 0; None: nobody has said, so it is taken for 0.
    """

    names: list[str]
    offset: int | None


def has_classes(shape: tuple[int, ...]) -> bool:
    """Whether an output is a row of logits, whatever its rank; else it is a map, or one value."""
    return sum(extent > 1 for extent in shape) == 1


def check_classes(model: str, shape: tuple[int, ...]) -> None:
    """Fail where classes are asked for and an output has none.

    Raises:
        DnaError: the output is a map or a single value.
    """
    if not has_classes(shape):
        if not shape:
            raise DnaError(
                f"the answer of {model} is made by the host, or several maps, no row of logits: it "
                "names no class (`dna deployed` gives its values)"
            )
        what = "a single value" if math.prod(shape) == 1 else f"a map of shape {shape}"
        raise DnaError(
            f"the output of {model} is {what}, no row of logits: it names no class "
            "(`dna deployed` gives its values)"
        )


def check_names(names: list[str], offset: int | None, shape: tuple[int, ...]) -> None:
    """Fail if a manifest's classes do not fit its output.

    Raises:
        ValueError: a logit has no name, or no logit is a class.
    """
    count = math.prod(shape)
    if has_classes(shape) and len(names) != count:
        raise ValueError(f"{len(names)} class names for {count} logits")
    if offset is not None and not 0 <= offset < max(count, 1):
        raise ValueError(f"class offset {offset} leaves no class of {count} logits")


def best(logits: npt.NDArray[np.generic], offset: int | None) -> npt.NDArray[np.int64]:
    """The class of each image, int64 [N]: the largest logit (the first of several) less the offset.

    Args:
        logits: [N, ...], the logits of an image in any shape.
        offset: see :class:`Classes`.
    """
    found: npt.NDArray[np.int64] = logits.reshape(len(logits), -1).argmax(axis=1).astype(np.int64)
    return found - (offset or 0)


def describe(count: int, labels: list[str] | None, offset: int | None) -> Classes:
    """Names and offset of ``count`` logits, from what the user says of them.

    Without a word, 1001 logits are TensorFlow's ImageNet, unless ``labels`` names the first of them
    otherwise.

    Args:
        count: of the logits.
        labels: their names, or those behind the offset; None: they are numbered.
        offset: None: it is found out.

    Raises:
        DnaError: there is another number of labels than of logits, or the offset leaves no class.
    """
    if offset is not None and not 0 <= offset < count:
        raise DnaError(f"class offset {offset} leaves no class of {count} logits")
    if labels is not None and len(labels) != count:
        if offset is None or len(labels) != count - offset:
            hint = (
                "; if the first logit is a background without a name, say --class-offset 1"
                if len(labels) == count - 1
                else ""
            )
            raise DnaError(f"{len(labels)} class names for {count} logits{hint}")
        labels = [*(_before(number, offset) for number in range(offset)), *labels]
    if offset is None:
        first = None if labels is None else labels[0].strip().lower()
        if first == BACKGROUND or (first is None and count == IMAGENET + 1):
            offset = 1
        elif count != IMAGENET + 1:
            offset = 0
    if labels is None:
        before = offset or 0
        labels = [_before(number, before) for number in range(before)]
        labels += [f"class {number}" for number in range(count - before)]
    return Classes(labels, offset)


def _before(number: int, offset: int) -> str:
    return BACKGROUND if offset == 1 else f"{BACKGROUND} {number}"


def remark(count: int, offset: int | None) -> str | None:
    """What a reader of classes must know of their numbers, in a line; None if nothing."""
    if offset:
        first = "logit 0 is" if offset == 1 else f"logits 0 to {offset - 1} are"
        return f"Class offset {offset}: {first} {BACKGROUND}, class 0 is logit {offset} of {count}."
    if offset is None and count == IMAGENET + 1:
        return (
            f"{count} logits and no class offset known: labels from 0 to {IMAGENET - 1} count from "
            f"logit 0. If that is TensorFlow's {BACKGROUND}, import with --class-offset 1."
        )
    return None
