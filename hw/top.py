"""The whole machine: registers in front, memory behind."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, ResetInserter, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import Member, Out, connect, flipped

from hw.bus import registers
from hw.bus.axi import AxiLiteSignature, connect_flat, flat_members
from hw.bus.axi_codes import memory_prefixes
from hw.bus.csr import ControlRegisters
from hw.config import DnaConfig
from hw.control.watchdog import Watchdog
from hw.core import Core, WriteTraceSignature, memory_signature
from hw.isa import Engine
from hw.status import ACTIVITY_BITS


class Dna(wiring.Component):
    """The Dynamic Neural Accelerator.

    Software writes a program, its weights and an input to memory, points the registers at them and
    starts; the machine fetches everything itself, leaves the results in memory and raises
    ``interrupt``.

    Latency and stall: those of the registers towards the host
    (:class:`hw.bus.csr.ControlRegisters`), of the DMA towards the memory
    (:class:`hw.bus.dma_read.DmaReader`, :class:`hw.bus.dma_write.DmaWriter`).

    Args:
        config: all of it.

    Ports:
        s_axil_awvalid, ...: the wires of an :class:`hw.bus.axi.AxiLiteSignature`, in: the registers
            of :mod:`hw.bus.registers`.
        m_axi_arvalid, ...: the wires of an :class:`hw.bus.axi.AxiSignature`, out: the memory. With
            several ports ``m_axi0_arvalid``, ..., ``m_axi1_arvalid``, ...
        interrupt: out, level.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        super().__init__(machine_members(config))

    def elaborate(self, platform: Any) -> Module:
        """Connect registers, watchdog and core."""
        return connect_machine(self, self._config)[0]


class ObservedDna(wiring.Component):
    """The same machine with more ports, for verification: to the gate :class:`Dna` behind them.

    Latency and stall: those of :class:`Dna`.

    Args:
        config: all of it.

    Ports:
        those of :class:`Dna`, and
        busy: out, a program runs.
        post_trace, pool_trace, load_trace, depthwise_trace: out,
            :class:`hw.core.WriteTraceSignature`.
        activity, layers: out, arrays by :class:`hw.isa.Engine`.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        super().__init__(
            {
                **machine_members(config),
                "busy": Out(1),
                "post_trace": Out(WriteTraceSignature(config)),
                "pool_trace": Out(WriteTraceSignature(config)),
                "load_trace": Out(WriteTraceSignature(config)),
                "depthwise_trace": Out(WriteTraceSignature(config)),
                "activity": Out(unsigned(ACTIVITY_BITS)).array(len(Engine)),
                "layers": Out(16).array(len(Engine)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Show what the machine has inside."""
        m, core, csr = connect_machine(self, self._config)
        connect(m, core.post_trace, flipped(self.post_trace))
        connect(m, core.pool_trace, flipped(self.pool_trace))
        connect(m, core.load_trace, flipped(self.load_trace))
        connect(m, core.depthwise_trace, flipped(self.depthwise_trace))
        m.d.comb += self.busy.eq(csr.busy)
        for engine in Engine:
            m.d.comb += [
                self.activity[engine].eq(core.activity[engine]),
                self.layers[engine].eq(core.layers[engine]),
            ]
        return m


def machine_members(config: DnaConfig) -> dict[str, Member]:
    """The ports of a machine."""
    registers_bus = AxiLiteSignature(address_bits=registers.ADDRESS_BITS)
    return {
        **flat_members("s_axil", registers_bus.flip()),
        **{
            name: member
            for prefix in memory_prefixes(config)
            for name, member in flat_members(prefix, memory_signature(config)).items()
        },
        "interrupt": Out(1),
    }


def connect_machine(
    top: wiring.Component, config: DnaConfig
) -> tuple[Module, Core, ControlRegisters]:
    """Registers, watchdog and core behind the ports of ``top``, which has ``machine_members``.

    Returns:
        The module, the core and the registers in it.
    """
    m = Module()
    m.submodules.csr = csr = ControlRegisters(config)
    m.submodules.watchdog = watchdog = Watchdog()
    core = Core(config)
    m.submodules.core = ResetInserter(csr.clear)(core)

    connect_flat(m, csr.bus, top, "s_axil")
    for prefix, port in zip(memory_prefixes(config), core.axi, strict=True):
        connect_flat(m, port, top, prefix)
    m.d.comb += [
        core.start.eq(csr.start),
        core.program.eq(csr.program),
        core.halt.eq(csr.halt),
        core.window_base.eq(csr.window_base),
        core.window_size.eq(csr.window_size),
        core.write_base.eq(csr.write_base),
        core.write_size.eq(csr.write_size),
        csr.finished.eq(core.finished),
        csr.idle.eq(core.idle),
        top.interrupt.eq(csr.interrupt),
        watchdog.busy.eq(csr.busy),
        watchdog.progress.eq(core.progress),
        watchdog.limit.eq(csr.watchdog),
        csr.fault.valid.eq(core.fault.valid | watchdog.fault.valid),
        csr.fault.code.eq(watchdog.fault.code),
        csr.fault.address.eq(watchdog.fault.address),
    ]
    with m.If(core.fault.valid):
        m.d.comb += [
            csr.fault.code.eq(core.fault.code),
            csr.fault.address.eq(core.fault.address),
        ]
    for engine in Engine:
        m.d.comb += [
            csr.activity[engine].eq(core.activity[engine]),
            watchdog.activity[engine].eq(core.activity[engine]),
        ]
    return m, core, csr
