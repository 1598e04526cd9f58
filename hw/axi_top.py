"""The machine as a block of a system on chip: AXI's names for clock and reset."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, ClockDomain, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.config import DnaConfig
from hw.top import machine_members

MACHINE = "dna"
"""What the module of :class:`hw.top.Dna` is called."""
CLOCK = "aclk"


class DnaAxi(wiring.Component):
    """A wrapper around the module of :class:`hw.top.Dna`, which is in a file of its own.

    The machine is in reset while ``aresetn`` is low and for two cycles behind. ``aresetn`` goes
    through two registers, so it may fall at any time; it rises with the clock, as AXI asks.

    Latency and stall: those of the machine.

    Args:
        config: all of it.

    Ports:
        aclk, aresetn: in.
        those of :class:`hw.top.Dna`.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        super().__init__({CLOCK: In(1), "aresetn": In(1), **machine_members(config)})

    def elaborate(self, platform: Any) -> Module:
        """Place the machine beside the registers of its reset."""
        m = Module()
        m.domains.sync = domain = ClockDomain("sync", reset_less=True)
        resets = Signal(2, init=3)
        m.d.comb += domain.clk.eq(self.aclk)
        m.d.sync += resets.eq(Cat(~self.aresetn, resets))
        ports = {
            f"{'o' if member.flow is Out else 'i'}_{name}": getattr(self, name)
            for name, member in machine_members(self._config).items()
        }
        m.submodules.dna = Instance(MACHINE, i_clk=self.aclk, i_rst=resets[1], **ports)
        return m


def constraints(period_ns: float) -> str:
    """An SDC file for :class:`DnaAxi`: its one clock, and nothing that is not to be looked at."""
    return (
        f"# All registers of the machine are in one clock domain; no path is false or takes longer."
        f"\ncreate_clock -name {CLOCK} -period {period_ns:.3f} [get_ports {CLOCK}]\n"
    )
