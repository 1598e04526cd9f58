"""Which data set of MLPerf's reference implementation fits a network, and what that one needs.

``imagenet_pytorch`` preprocesses with torchvision, for weights with torchvision's names;
``imagenet`` for the others. The latter yields RGB less its means, and expects the classes counted
from 1.
"""

from __future__ import annotations

import re

from sw.errors import DnaError, one_line
from sw.host.extras import needs

PYTORCH, TENSORFLOW = "imagenet_pytorch", "imagenet"
MIN_SAMPLES = 24_576
"""Of an Offline run; MLPerf's rules set it, and the reference's settings have it."""


def fitting(preprocessing: str, asked: str | None) -> str:
    """The data set for a network, once it is known that it can be used here.

    Args:
        preprocessing: what the weights were trained with, by name.
        asked: ``--dataset``; None: the user did not choose.

    Raises:
        DnaError: the user chose the other one, or torchvision is needed and cannot be used.
    """
    chosen = PYTORCH if preprocessing == "torchvision" else TENSORFLOW
    if asked is not None and asked != chosen:
        raise DnaError(f"--dataset {asked}: these weights need {chosen}")
    if chosen == PYTORCH:
        _check_torchvision()
    return chosen


def _check_torchvision() -> None:
    """The reference imports it when it reads the first photograph; that is too late."""
    with needs("quantize", "PyTorch"):
        import torch
    wanted = f"with torch {torch.__version__} goes {_torchvision_for(torch.__version__)}"
    try:
        import torchvision
        import torchvision.transforms.functional  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "torchvision":
            raise DnaError(f"{_needed()} does not work here: {error}; {wanted}") from error
        raise DnaError(f"{_needed()} is missing; {wanted}") from error
    except Exception as error:  # one that was built for another torch fails in many ways
        raise DnaError(f"{_needed()} does not fit: {one_line(str(error))}; {wanted}") from error


def _needed() -> str:
    return f"these weights need the reference's data set {PYTORCH}, and torchvision for it, which"


def _torchvision_for(torch_version: str) -> str:
    """The torchvision that is made for a torch of the second series: 0.15 for 2.0, and so on."""
    found = re.match(r"2\.(\d+)[^+]*(\+\w+)?", torch_version)
    if found is None:
        return "the torchvision that was released with it"
    version = f"torchvision 0.{int(found[1]) + 15}"
    return f"{version} in its build {found[2]}, from where that torch is" if found[2] else version


def offline_remark(rate: float) -> str:
    """What an Offline run of the reference takes at least.

    Args:
        rate: images a second.
    """
    minutes = MIN_SAMPLES / rate / 60
    about = f"about {minutes:.0f} minutes" if minutes >= 1.5 else f"about {60 * minutes:.0f} s"
    return (
        f"Offline: the reference sends at least {MIN_SAMPLES:,} images, as MLPerf's rules ask, "
        f"whatever --time says: {about} at this computer's speed; --count N beside --time sends N"
    )
