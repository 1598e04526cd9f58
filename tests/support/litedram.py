"""A machine behind LiteDRAM's AXI4 port: LiteDRAM as RTL, compiled, beside Amaranth's simulator.

Program, weights and image go there before the machine starts, which is not clocked meanwhile.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from hw.bus.registers import CONTROL_START
from hw.config import DnaConfig
from sim import native, yosys
from sim.memory.dram import Dram
from sim.memory.model import BASE, MemoryModel
from sim.rtl.engines.pysim import PysimSimulator
from tests.support.litedram_chip import BEATS, CLOCK_HZ, COLUMNS

SOURCE = Path(__file__).with_name("litedram_verilog.py")
LIMIT = 10_000
"""Cycles for one access of the testbench."""
_YOSYS = """\
read_verilog litedram.v
hierarchy -top litedram
proc
flatten
opt_expr
opt_clean
splitnets -driver
write_cxxrtl -g4 litedram.cc
"""


class _Object(ctypes.Structure):
    """``cxxrtl_object`` of CXXRTL's C interface, as far as it is needed."""

    _fields_ = (
        ("type", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("width", ctypes.c_size_t),
        ("lsb_at", ctypes.c_size_t),
        ("depth", ctypes.c_size_t),
        ("zero_at", ctypes.c_size_t),
        ("curr", ctypes.POINTER(ctypes.c_uint32)),
        ("next", ctypes.POINTER(ctypes.c_uint32)),
    )


@cache
def build(kind: str, bits: int) -> tuple[ctypes.CDLL, dict[str, Any]]:
    """LiteDRAM with a chip of that kind, compiled, and its numbers; kept in the cache folder."""
    digest = hashlib.sha256(SOURCE.read_bytes() + _YOSYS.encode() + f"{kind} {bits}".encode())
    folder = Path(platformdirs.user_cache_dir("open-dna")) / "litedram" / digest.hexdigest()[:16]
    numbers = folder / "numbers.json"
    if not numbers.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable,
            "-m",
            f"tests.support.{SOURCE.stem}",
            kind,
            str(bits),
            str(folder / "litedram.v"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        yosys.run(_YOSYS, folder)
        numbers.write_text(done.stdout.splitlines()[-1])
    flags = ("-O2", "-std=c++17", "-DCXXRTL_INCLUDE_CAPI_IMPL", "-I", str(yosys.headers()))
    library = native.load(native.library(folder / "litedram.cc", flags))
    library.cxxrtl_design_create.restype = library.cxxrtl_create.restype = ctypes.c_void_p
    library.cxxrtl_get_parts.restype = ctypes.POINTER(_Object)
    return library, json.loads(numbers.read_text())


class LiteDram:
    """A memory whose pins have the names of the machine's, without the prefix."""

    def __init__(self, kind: str, word: int) -> None:
        self._library, self.numbers = build(kind, word * 8 // BEATS)
        self._word, self._size = word, word.bit_length() - 1
        top = ctypes.c_void_p(self._library.cxxrtl_design_create())
        self._handle = ctypes.c_void_p(self._library.cxxrtl_create(top))
        self._pins: dict[str, Any] = {}
        for name in ("sys_clk", "sys_rst"):
            self._pins[name] = self._object(name)
        self.cycle = 0

    def _object(self, name: str) -> Any:
        parts = ctypes.c_size_t()
        found = self._library.cxxrtl_get_parts(self._handle, name.encode(), ctypes.byref(parts))
        assert parts.value == 1, name
        return found[0]

    def _pin(self, name: str) -> Any:
        """``arvalid`` is ``ar_valid`` there."""
        if name not in self._pins:
            channel = next(c for c in ("aw", "ar", "w", "b", "r") if name.startswith(c))
            self._pins[name] = self._object(f"{channel}_{name[len(channel) :]}")
        return self._pins[name]

    def get(self, name: str) -> int:
        """The value of a pin."""
        pin = self._pin(name)
        return sum(pin.curr[chunk] << 32 * chunk for chunk in range((pin.width + 31) // 32))

    def set(self, **pins: int) -> None:
        """Drive pins, from the next :meth:`settle` on."""
        for name, value in pins.items():
            pin = self._pin(name)
            for chunk in range((pin.width + 31) // 32):
                pin.next[chunk] = value >> 32 * chunk & 0xFFFFFFFF

    def settle(self) -> None:
        """Let outputs follow."""
        self._library.cxxrtl_step(self._handle)

    def clock(self) -> None:
        """One rising edge."""
        self.set(sys_clk=1)
        self.settle()
        self.set(sys_clk=0)
        self.settle()
        self.cycle += 1

    def _until(self, *wanted: str) -> None:
        """Clock until each of the handshakes has happened once."""
        left = set(wanted)
        for _ in range(LIMIT):
            self.settle()
            done = {name for name in left if self.get(f"{name}ready") and self.get(f"{name}valid")}
            self.clock()
            self.set(**{f"{name}valid": 0 for name in done if name in ("aw", "w", "ar")})
            self.set(**{f"{name}ready": 0 for name in done if name in ("b", "r")})
            left -= done
            if not left:
                return
        raise AssertionError(f"LiteDRAM does not answer: {left}")

    def write(self, address: int, content: bytes) -> None:
        """Write whole words, each as a burst of one."""
        strobe = (1 << self._word) - 1
        for start in range(0, len(content), self._word):
            word = int.from_bytes(content[start : start + self._word], "little")
            at = address + start
            self.set(awaddr=at, awlen=0, awsize=self._size, awburst=1, awid=0, awvalid=1)
            self.set(wdata=word, wstrb=strobe, wlast=1, wvalid=1, bready=1)
            self._until("aw", "w", "b")

    def wait(self, *addresses: int, words: int = 1) -> list[int]:
        """Cycles from the first request to each word of bursts, asked for one after another."""
        begin, asked, found = self.cycle, 0, []
        self.set(arlen=words - 1, arsize=self._size, arburst=1, arid=0, rready=1)
        while len(found) < len(addresses) * words:
            assert self.cycle - begin < LIMIT, "LiteDRAM does not answer"
            more = asked < len(addresses)
            self.set(arvalid=more, araddr=addresses[asked] if more else 0)
            self.settle()
            if more and self.get("arready"):
                begin = begin if asked else self.cycle
                asked += 1
            if self.get("rvalid"):
                found.append(self.cycle - begin)
            self.clock()
        self.set(arvalid=0, rready=0)
        return found

    def read(self, address: int) -> bytes:
        """Read a word."""
        self.set(araddr=address, arlen=0, arsize=self._size, arburst=1, arid=0, arvalid=1)
        self._until("ar")
        for _ in range(LIMIT):
            self.settle()
            if self.get("rvalid"):
                word = self.get("rdata")
                self.set(rready=1)
                self.clock()
                self.set(rready=0)
                return word.to_bytes(self._word, "little")
            self.clock()
        raise AssertionError("LiteDRAM does not answer")


class _Port:
    """What Amaranth's simulator sees instead of ``AxiMemory``."""

    OUTPUTS = ("arready", "awready", "wready", "rvalid", "rid", "rdata", "rresp", "rlast")
    OUTPUTS += ("bvalid", "bid", "bresp")
    INPUTS = ("arvalid", "arlen", "arsize", "arburst", "arid", "rready", "awvalid", "awlen")
    INPUTS += ("awsize", "awburst", "awid", "wvalid", "wdata", "wstrb", "wlast", "bready")

    def __init__(self, memory: LiteDram) -> None:
        self._memory = memory

    def offer(self, _states: Any) -> dict[str, int]:
        self._memory.settle()
        return {f"m_axi_{name}": self._memory.get(name) for name in self.OUTPUTS}

    def observe(self, pins: Any) -> None:
        memory = self._memory
        memory.set(**{name: pins[f"m_axi_{name}"] for name in self.INPUTS})
        for channel in ("ar", "aw"):
            address = (pins[f"m_axi_{channel}addr"] - BASE) & 0xFFFFFFFF
            memory.set(**{f"{channel}addr": address})
        memory.settle()
        memory.clock()


class _NoTime:
    def offer(self) -> None:
        """Nothing: LiteDRAM has its own time."""


class BehindLiteDram(PysimSimulator):
    """A machine with one port, whose memory is LiteDRAM's."""

    def __init__(self, component: type[Any], config: DnaConfig, *, size: int, kind: str) -> None:
        super().__init__(
            component, config, size=size, model=MemoryModel(), record_writes=False, waves=None
        )
        assert config.dram_ports == 1
        self._word = config.port_bytes
        self.dram = LiteDram(kind, self._word)
        self._time = _NoTime()  # type: ignore[assignment]
        self._ports = [_Port(self.dram)]  # type: ignore[list-item]

    def csr_write(self, name: str, value: int) -> None:
        """Before it starts, what the driver has written goes to LiteDRAM's memory, over the bus."""
        if (name, value) == ("control", CONTROL_START):
            self.dram.write(0, bytes(self.memory) + bytes(-len(self.memory) % self._word))
        super().csr_write(name, value)

    def fetch(self, start: int, stop: int) -> None:
        """Take a part of LiteDRAM's memory back."""
        for address in range(start // self._word * self._word, stop, self._word):
            word = np.frombuffer(self.dram.read(address), np.uint8)
            self.memory[address : address + self._word] = word[: len(self.memory) - address]


def like(numbers: dict[str, Any], kind: str, word: int, turn: int) -> Dram:
    """Our model of the same memory: the times with which LiteDRAM was made, in its clocks.

    ``turn``: clocks of the controller from an access to the next one's coming to another bank.
    """
    clock = 10**12 // CLOCK_HZ

    def time(name: str) -> int:
        return int(numbers[name]) * clock

    phases = int(numbers["phases"])
    return Dram(
        name=f"{kind}-litedram",
        channels=1,
        width=word * 8 // BEATS,
        beats=BEATS,
        groups=1,
        banks={"ddr3": 8, "ddr4": 16}[kind],
        page_bytes=COLUMNS * word // BEATS,
        clock_ps=clock // phases,
        burst_clocks=BEATS // 2,
        read_clocks=int(numbers["cl"]),
        write_clocks=int(numbers["cwl"]),
        t_rcd=time("tRCD"),
        t_rp=time("tRP"),
        t_ras=time("tRAS"),
        t_rc=time("tRC"),
        t_ccd_s=time("tCCD"),
        t_ccd_l=time("tCCD"),
        t_rrd_s=time("tRRD"),
        t_rrd_l=time("tRRD"),
        t_faw=time("tFAW"),
        t_wr=time("tWR"),
        t_rtp=clock,
        t_wtr_s=time("tWTR"),
        t_wtr_l=time("tWTR"),
        t_rfc=time("tRFC"),
        t_refi=time("tREFI"),
        turn_clocks=turn * phases,
        source="LiteDRAM's own numbers of its chip",
    )
