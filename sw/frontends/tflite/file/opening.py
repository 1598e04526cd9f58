"""A file as it is read here: of operators with one result each, and without variables."""

from __future__ import annotations

import dataclasses

from sw.errors import DnaError
from sw.frontends.tflite.file import reader
from sw.frontends.tflite.file.reader import State, TfliteModel
from sw.frontends.tflite.file.splits import without_splits
from sw.frontends.tflite.file.states import without_states


def rewritten(content: bytes, what: str) -> tuple[bytes, tuple[State, ...]]:
    """The file that is read in place of ``content``, and the state that its caller carries.

    Tensors keep their indices. A SPLIT becomes as many operators as it has results, and what has
    to do with variables is no operator any more.

    Raises:
        DnaError: the file uses variables in a way that is not understood.
    """
    try:
        content, states = without_states(content)
    except DnaError as error:
        raise DnaError(f"{what}: {error}") from error
    return without_splits(content), states


def read(content: bytes, what: str) -> TfliteModel:
    """Read a flatbuffer as :func:`rewritten` has it.

    Raises:
        DnaError: as :func:`rewritten` and :func:`sw.frontends.tflite.file.reader.read`.
    """
    changed, states = rewritten(content, what)
    return dataclasses.replace(reader.read(changed, what), states=states)
