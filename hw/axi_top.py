"""The machine as a block of a system on chip: AXI's names for clocks and resets."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, ClockDomain, Instance, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.bus.axi import ID_BITS, connect_flat, flat_values
from hw.bus.axi_codes import memory_prefixes
from hw.bus.clock_crossing import MACHINE_DOMAIN, MEMORY_DOMAIN, ClockCrossing
from hw.config import DnaConfig
from hw.top import machine_members

MACHINE = "dna"
"""What the module of :class:`hw.top.Dna` is called."""
CLOCK, RESET = "aclk", "aresetn"
MEMORY_CLOCK, MEMORY_RESET = "m_axi_aclk", "m_axi_aresetn"


class DnaAxi(wiring.Component):
    """A wrapper around the module of :class:`hw.top.Dna`, which is in a file of its own.

    The machine is in reset while ``aresetn`` is low and for two cycles behind. ``aresetn`` goes
    through two registers, so it may fall at any time; it rises with the clock, as AXI asks.

    With a clock of the memory's own a :class:`hw.bus.clock_crossing.ClockCrossing` stands at each
    port to memory, and all those ports belong to ``m_axi_aclk``. The two resets fall together.

    Latency and stall: those of the machine, and of the crossings.

    Args:
        config: all of it.
        memory_clock: the ports to memory have a clock of their own.

    Ports:
        aclk, aresetn: in.
        m_axi_aclk, m_axi_aresetn: in; only with ``memory_clock``.
        those of :class:`hw.top.Dna`.
    """

    def __init__(self, config: DnaConfig, *, memory_clock: bool = False) -> None:
        self._config, self._memory_clock = config, memory_clock
        clocks = {CLOCK: In(1), RESET: In(1)}
        if memory_clock:
            clocks |= {MEMORY_CLOCK: In(1), MEMORY_RESET: In(1)}
        super().__init__({**clocks, **machine_members(config)})

    def elaborate(self, platform: Any) -> Module:
        """Place the machine beside the registers of its reset, and what is between the clocks."""
        m = Module()
        reset = _domain(m, MACHINE_DOMAIN, self.aclk, self.aresetn)
        wires: dict[str, Value] = {}
        if self._memory_clock:
            _domain(m, MEMORY_DOMAIN, self.m_axi_aclk, self.m_axi_aresetn)
            for prefix in memory_prefixes(self._config):
                m.submodules[f"{prefix}_crossing"] = crossing = ClockCrossing(
                    data_bytes=self._config.port_bytes, id_bits=ID_BITS
                )
                wires |= flat_values(prefix, crossing.machine)
                connect_flat(m, crossing.memory, self, prefix)
        ports = {
            f"{'o' if member.flow is Out else 'i'}_{name}": wires.get(name, getattr(self, name))
            for name, member in machine_members(self._config).items()
        }
        m.submodules.dna = Instance(MACHINE, i_clk=self.aclk, i_rst=reset, **ports)
        return m


def _domain(m: Module, name: str, clock: Signal, reset_n: Signal) -> Signal:
    """A domain of ``clock``, in reset for two cycles behind ``reset_n``; gives its reset."""
    domain = ClockDomain(name)
    early = ClockDomain(f"{name}_reset", reset_less=True)
    m.domains += [domain, early]
    resets = Signal(2, init=3, name=f"{name}_resets")
    m.d.comb += [domain.clk.eq(clock), early.clk.eq(clock), domain.rst.eq(resets[1])]
    m.d[early.name] += resets.eq(Cat(~reset_n, resets))
    return resets[1]


def constraints(period_ns: float, memory_period_ns: float | None = None) -> str:
    """An SDC file for :class:`DnaAxi`: its clocks, and that two of them are unrelated."""
    clock = "create_clock -name {0} -period {1:.3f} [get_ports {0}]\n"
    if memory_period_ns is None:
        return (
            "# All registers of the machine are in one clock domain; no path is false or takes "
            "longer.\n" + clock.format(CLOCK, period_ns)
        )
    return (
        "# Registers are in two clock domains that know nothing of each other. What passes between "
        "them\n# is in the queues of the crossings; in each domain no path is false or takes "
        f"longer.\n{clock.format(CLOCK, period_ns)}{clock.format(MEMORY_CLOCK, memory_period_ns)}"
        f"set_clock_groups -asynchronous -group {CLOCK} -group {MEMORY_CLOCK}\n"
    )
