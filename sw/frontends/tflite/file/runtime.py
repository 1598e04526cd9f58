"""LiteRT's own judgement of a file."""

from __future__ import annotations

import re

from ai_edge_litert.interpreter import Interpreter, OpResolverType

from sw.errors import DnaError


def check_loads(content: bytes) -> None:
    """Refuse a file that LiteRT refuses, before its delegate is asked.

    Raises:
        DnaError: it does.
    """
    try:
        Interpreter(
            model_content=content,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        ).allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise DnaError(f"LiteRT refuses the file: {reason(error)}") from error


def reason(error: Exception) -> str:
    """The first thing that LiteRT says; it puts the next one behind it without a space."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return re.split(r"\.(?=[A-Z])", lines[0])[0][:300]
