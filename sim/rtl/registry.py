"""The simulators of the RTL, by name: a file of ``sim/rtl/engines/`` each.

Adding one is adding one file there, with C++ beside it if it wants, whose ``SIMULATOR`` is a
subclass of :class:`sim.rtl.simulator.Simulator`. Nothing else has to be told.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

from sw.errors import DnaError

if TYPE_CHECKING:
    from hw.config import DnaConfig
    from sim.memory.model import MemoryModel
    from sim.rtl.simulator import Simulator
    from sim.rtl.vcd import Waves

DEFAULT = "cxxrtl"
# By its name only: what is in the folder imports this package, and nothing here imports that.
_ENGINES = "sim.rtl.engines"


def names() -> list[str]:
    """The simulators that there are; none is imported for that."""
    folders = importlib.import_module(_ENGINES).__path__
    return sorted(module.name for module in pkgutil.iter_modules(folders))


def open_simulator(
    config: DnaConfig,
    simulator: str = DEFAULT,
    *,
    size: int,
    memory: MemoryModel | None = None,
    record_writes: bool = False,
    waves: Waves | None = None,
    component: type[Any] | None = None,
) -> Simulator:
    """Power a machine on.

    Opening ``cxxrtl`` compiles the machine, once: the library is kept in the user's cache folder
    and found again as long as the hardware's sources stay as they are.

    Args:
        config: which machine.
        simulator: one of :func:`names`. ``cxxrtl`` is compiled; ``pysim`` is Amaranth's, a thousand
            times slower.
        size: bytes of the memory.
        memory: how it behaves; ``MemoryModel()`` if not given.
        record_writes: whether :meth:`Simulator.feature_writes` has something to tell.
        waves: VCD file to write; its cycles count from power-on.
        component: a class with the ports of :class:`hw.top.ObservedDna`, which it is if not given.

    Raises:
        DnaError: there is no such simulator, what it needs is missing (the message says what to
            install), or the wave file cannot be written.
    """
    if simulator not in names():
        raise DnaError(f"no engine {simulator!r}; choose one of {', '.join(names())}")
    if component is None:
        from hw.top import ObservedDna

        component = ObservedDna
    if memory is None:
        from sim.memory.model import MemoryModel

        memory = MemoryModel()
    opened: type[Simulator] = importlib.import_module(f"{_ENGINES}.{simulator}").SIMULATOR
    return opened(
        component,
        config,
        size=size,
        model=memory,
        record_writes=record_writes,
        waves=waves,
    )
