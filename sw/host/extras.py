"""Packages that only some commands need: what to say when one of them is not installed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal

from sw.errors import DnaError

Extra = Literal[
    "loadgen", "quantize", "tensorflow", "bench", "quantize,bench", "cluster", "timing", "board"
]
"""The optional dependencies of ``pyproject.toml`` that a command may ask for; or two of them."""

_OURS = ("hw", "sw", "sim", "harness")


def missing(extra: Extra, what: str) -> DnaError:
    """The error that tells how to install what is not there.

    Args:
        extra: that brings it.
        what: the package, as a person calls it.
    """
    return DnaError(f"{what} is missing; install it: pip install --editable '.[{extra}]'")


@contextlib.contextmanager
def needs(extra: Extra, what: str | None = None) -> Iterator[None]:
    """A block that imports packages of ``extra``.

    Args:
        extra: that brings them.
        what: the package, as a person calls it; None: by the name of the module that is missing.

    Raises:
        DnaError: the import fails. (One of a module of ours is our bug, and stays what it is.)
    """
    try:
        yield
    except ImportError as error:
        if error.name is not None and error.name.partition(".")[0] in _OURS:
            raise
        raise missing(extra, what or error.name or f"a package of '{extra}'") from error
