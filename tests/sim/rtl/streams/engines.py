"""Components that only have streams, compiled and simulated: the judges of the compiler pass."""

from __future__ import annotations

from typing import Any

from hw.config import DnaConfig
from tests.sim.rtl.streams.cxxrtl import CxxrtlEngine
from tests.sim.rtl.streams.interface import Engine
from tests.sim.rtl.streams.pysim import PysimEngine

ENGINES: dict[str, Any] = {"cxxrtl": CxxrtlEngine, "pysim": PysimEngine}


def open_engine(engine: str, component: type[Any], **parameters: DnaConfig | int) -> Engine:
    """Open an engine for ``component(**parameters)``; ``cxxrtl`` compiles it, once.

    Raises:
        DnaError: what it needs is missing (the message says what to install).
    """
    opened: Engine = ENGINES[engine](component, parameters)
    return opened
