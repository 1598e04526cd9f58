"""The memory behind an AXI4 port: its bytes, and the rules that the bus must keep.

When it does what is in :mod:`sim.memory.ports`. ``axi_memory.h`` does the same, compiled.
"""

from __future__ import annotations

import ctypes
import dataclasses
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hw.bus.axi_codes import BURST_INCREMENTING, Response, memory_prefixes
from hw.config import DnaConfig
from sim.memory import timing
from sim.memory.model import BASE, MemoryModel
from sim.memory.ports import MemoryPorts
from sim.native.declarations import constants, enumeration, structure
from sim.rtl.simulator import BusError

PAGE_BYTES = 4096
"""No burst crosses a multiple of it."""

Pins = Mapping[str, int]


class Range(ctypes.Structure):
    """Byte offsets from ``start`` to ``stop``, which is not among them."""

    _fields_ = (("start", ctypes.c_uint64), ("stop", ctypes.c_uint64))


class MemoryContent(ctypes.Structure):
    """The memory's bytes, where they are on the bus, which of them answer with an error.

    They are dealt out to the ports, ``granule`` bytes to each in turn.
    """

    _fields_ = (
        ("bytes", ctypes.POINTER(ctypes.c_uint8)),
        ("base", ctypes.c_uint64),
        ("size", ctypes.c_uint64),
        ("errors", ctypes.POINTER(Range)),
        ("error_count", ctypes.c_uint64),
        ("ports", ctypes.c_uint64),
        ("granule", ctypes.c_uint64),
    )


DECLARATIONS = (
    *timing.DECLARATIONS,
    constants({"PAGE_BYTES": PAGE_BYTES, "BURST_INCREMENTING": BURST_INCREMENTING}),
    enumeration(Response),
    structure(Range),
    structure(MemoryContent),
)
"""C++ for ``axi_memory.h``."""


@dataclasses.dataclass
class _Burst:
    address: int
    words: int
    identifier: int
    response: Response = Response.OKAY


class AxiMemory:
    """A memory of ``len(content)`` bytes at ``BASE``, seen through one port.

    Each cycle has two halves: :meth:`offer` says what the memory drives, :meth:`observe` sees what
    the bus carries. Pins are named as in the specification, with a prefix and ``_`` in front.

    Args:
        model: how it behaves.
        content: uint8, read and written in place.
        ports: of the memory in time.
        config: of the machine: how wide its ports are, and which bytes are behind which.
        port: number of this one.
    """

    def __init__(
        self,
        model: MemoryModel,
        content: npt.NDArray[np.uint8],
        ports: MemoryPorts,
        *,
        config: DnaConfig,
        port: int = 0,
    ) -> None:
        self._model = model
        self._content = content
        self._ports = ports
        self._word_bytes = config.port_bytes
        self._config = config
        self._port = port
        self._prefix = f"{memory_prefixes(config)[port]}_"
        self._writes: deque[_Burst] = deque()
        self._answers: deque[_Burst] = deque()
        self._driven = dict.fromkeys(
            ("rvalid", "rid", "rdata", "rresp", "rlast", "bvalid", "bid", "bresp"), 0
        )
        self._held: dict[str, dict[str, int]] = {}

    def offer(self, states: Any) -> dict[str, int]:
        """What the memory drives, by pin, when its ports are in ``states``."""
        state, driven = states[self._port], self._driven
        driven |= {name: getattr(state, name) for name in ("arready", "awready", "wready")}
        if state.rvalid and not driven["rvalid"]:
            self._offer_word(state)
        if state.bvalid and not driven["bvalid"]:
            answer = self._answers.popleft()
            driven |= {"bvalid": 1, "bid": answer.identifier, "bresp": answer.response}
        return {self._prefix + name: int(value) for name, value in driven.items()}

    def observe(self, pins: Pins) -> None:
        """Take note of what the bus transfers.

        Raises:
            BusError: the machine broke a rule of AXI4.
        """
        prefix = self._prefix
        bus = {
            name.removeprefix(prefix): value
            for name, value in pins.items()
            if name.startswith(prefix)
        }
        if self._transfers("w", bus, ("wdata", "wlast")):
            self._write(bus)
        if self._transfers("ar", bus, ("araddr", "arlen", "arid")):
            burst = self._burst("ar", bus)
            self._ports.read(self._port, burst.identifier, burst.address - BASE, burst.words)
        if self._transfers("aw", bus, ("awaddr", "awlen", "awid")):
            burst = self._burst("aw", bus)
            self._writes.append(burst)
            self._ports.write(self._port, burst.address - BASE, burst.words)
        ready = {channel: bool(bus[f"{channel}ready"]) for channel in "rb"}
        for channel in "rb":
            if ready[channel]:
                self._driven[f"{channel}valid"] = 0
        self._ports.take(self._port, rready=ready["r"], bready=ready["b"])

    def _transfers(self, channel: str, bus: Pins, payload: tuple[str, ...]) -> bool:
        """Whether a transfer happens; what is offered must stay until it does."""
        offered = {name: bus[name] for name in payload}
        held = self._held.pop(channel, None)
        valid, ready = bus[f"{channel}valid"], bus[f"{channel}ready"]
        if held is not None and (not valid or held != offered):
            raise BusError(f"{channel} changed before it was accepted")
        if valid and not ready:
            self._held[channel] = offered
        return bool(valid and ready)

    def _burst(self, channel: str, bus: Pins) -> _Burst:
        address, words = bus[f"{channel}addr"], bus[f"{channel}len"] + 1
        size = self._word_bytes.bit_length() - 1
        if bus[f"{channel}size"] != size or bus[f"{channel}burst"] != BURST_INCREMENTING:
            raise BusError(f"{channel} is not a burst of whole words")
        if address % self._word_bytes:
            raise BusError(f"{channel} is not aligned")
        if address // PAGE_BYTES != (address + words * self._word_bytes - 1) // PAGE_BYTES:
            raise BusError(f"{channel} crosses 4 KiB")
        config = self._config
        if address // config.port_granule_bytes % config.dram_ports != self._port:
            raise BusError(f"{channel} belongs to another port")
        return _Burst(address, words, bus[f"{channel}id"])

    def _response(self, address: int) -> Response:
        offset = address - BASE
        if offset < 0 or offset + self._word_bytes > len(self._content):
            return Response.DECERR
        for bad in self._model.errors:
            if offset < bad.stop and bad.start < offset + self._word_bytes:
                return Response.SLVERR
        return Response.OKAY

    def _word(self, address: int) -> npt.NDArray[np.uint8]:
        """The bytes of the word at ``address``, as a view."""
        return self._content[address - BASE : address - BASE + self._word_bytes]

    def _offer_word(self, state: Any) -> None:
        address = (BASE + state.raddress) % (1 << 64)
        response = self._response(address)
        word = 0
        if response is not Response.DECERR:
            word = int.from_bytes(self._word(address).tobytes(), "little")
        self._driven |= {
            "rvalid": 1,
            "rid": state.rid,
            "rdata": word,
            "rresp": response,
            "rlast": state.rlast,
        }

    def _write(self, bus: Pins) -> None:
        burst = self._writes[0]
        response = self._response(burst.address)
        burst.response = max(burst.response, response)
        if response is Response.OKAY:
            data = bus["wdata"].to_bytes(self._word_bytes, "little")
            strobes = [bus["wstrb"] >> i & 1 for i in range(self._word_bytes)]
            enabled = np.array(strobes, np.bool_)
            self._word(burst.address)[enabled] = np.frombuffer(data, np.uint8)[enabled]
        self._ports.write_word(self._port)
        burst.address += self._word_bytes
        burst.words -= 1
        if bus["wlast"] != (burst.words == 0):
            raise BusError("wlast is not at the end of its burst")
        if burst.words == 0:
            self._answers.append(self._writes.popleft())
