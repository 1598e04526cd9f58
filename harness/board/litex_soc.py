"""The SoC itself; whoever imports this needs LiteX."""

from __future__ import annotations

import importlib
from typing import Any

import litedram.modules
from litedram.frontend.axi import LiteDRAMAXI2Native
from litedram.phy import GENSDRPHY
from litex.build.io import DDROutput
from litex.soc.cores.clock import ECP5PLL
from litex.soc.integration.soc import SoCRegion
from litex.soc.integration.soc_core import SoCCore
from litex.soc.interconnect.axi import AXIInterface, AXILiteInterface
from migen import ClockDomain, ClockSignal, Instance, Module, ResetSignal, Signal

from harness.board.addresses import MEMORY, REGISTER_BYTES, REGISTERS
from harness.board.boards import Board
from hw.bus.axi import ID_BITS
from hw.config import DnaConfig

_CHANNELS = {
    "ar": ("addr", "id", "len", "size", "burst", "cache", "prot"),
    "aw": ("addr", "id", "len", "size", "burst", "cache", "prot"),
    "w": ("data", "strb", "last"),
    "b": ("id", "resp"),
    "r": ("id", "data", "resp", "last"),
}
_LITE_CHANNELS = {
    "ar": ("addr", "prot"),
    "aw": ("addr", "prot"),
    "w": ("data", "strb"),
    "b": ("resp",),
    "r": ("data", "resp"),
}
_DRIVEN = ("ar", "aw", "w")
"""Channels whose payload the master drives."""


def _platform(board: Board) -> Any:
    """The board's pins, for the open tools."""
    module = importlib.import_module(f"litex_boards.platforms.{board.platform}")
    return module.Platform(device=board.device, toolchain="trellis")


class _Clocks(Module):
    """The board's crystal to the system's clock, and one a quarter later for the SDRAM's chip."""

    def __init__(self, platform: Any, board: Board, clock_hz: int) -> None:
        self.rst = Signal()
        self.clock_domains.cd_sys = ClockDomain()
        self.clock_domains.cd_sys_ps = ClockDomain()
        crystal, frequency = board.crystal
        self.submodules.pll = pll = ECP5PLL()
        self.comb += pll.reset.eq(platform.request(board.reset) | self.rst)
        pll.register_clkin(platform.request(crystal), frequency)
        pll.create_clkout(self.cd_sys, clock_hz)
        pll.create_clkout(self.cd_sys_ps, clock_hz, phase=90)
        self.specials += DDROutput(1, 0, platform.request("sdram_clock"), ClockSignal("sys_ps"))
        for name in board.held_high:
            self.comb += platform.request(name).eq(1)


class BoardSoc(SoCCore):
    """All of it; ``dna_axi`` is an instance whose Verilog is elsewhere."""

    def __init__(self, board: Board, config: DnaConfig, clock_hz: int) -> None:
        platform = _platform(board)
        self.submodules.crg = _Clocks(platform, board, clock_hz)
        SoCCore.__init__(
            self,
            platform,
            clock_hz,
            cpu_type=None,
            with_uart=False,
            with_timer=False,
            ident="",
            integrated_rom_size=0,
            integrated_sram_size=0,
        )
        self.mem_map["main_ram"] = MEMORY
        self.add_uartbone(baudrate=board.baud)
        self.submodules.sdrphy = GENSDRPHY(platform.request("sdram"), clock_hz)
        self.add_sdram(
            "sdram",
            phy=self.sdrphy,
            module=getattr(litedram.modules, board.sdram)(clock_hz, "1:1"),
            l2_cache_size=0,
        )
        self._add_machine(config)

    def _add_machine(self, config: DnaConfig) -> None:
        memory = AXIInterface(data_width=8 * config.port_bytes, address_width=32, id_width=ID_BITS)
        port = self.sdram.crossbar.get_port(data_width=8 * config.port_bytes)
        self.submodules.machine_memory = LiteDRAMAXI2Native(memory, port, base_address=MEMORY)
        registers = AXILiteInterface(data_width=32, address_width=32)
        self.bus.add_slave(
            "dna",
            registers,
            SoCRegion(origin=REGISTERS, size=REGISTER_BYTES, cached=False),
        )
        self.specials += Instance(
            "dna_axi",
            i_aclk=ClockSignal("sys"),
            i_aresetn=~ResetSignal("sys"),
            o_interrupt=Signal(),
            **_pins("m_axi", memory, _CHANNELS, master=True),
            **_pins("s_axil", registers, _LITE_CHANNELS, master=False),
        )


def _pins(
    prefix: str, bus: Any, channels: dict[str, tuple[str, ...]], master: bool
) -> dict[str, Any]:
    """The instance's ports of a bus; ``master``: the machine is its master."""
    pins = {}
    for channel, fields in channels.items():
        endpoint = getattr(bus, channel)
        driven = (channel in _DRIVEN) == master
        pins[f"{'o' if driven else 'i'}_{prefix}_{channel}valid"] = endpoint.valid
        pins[f"{'i' if driven else 'o'}_{prefix}_{channel}ready"] = endpoint.ready
        for field in fields:
            signal = endpoint.last if field == "last" else getattr(endpoint, field)
            pins[f"{'o' if driven else 'i'}_{prefix}_{channel}{field}"] = signal
    return pins
