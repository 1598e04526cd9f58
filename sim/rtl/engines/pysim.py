"""The machine in Amaranth's own simulator: for tiny programs, nothing to compile."""

from __future__ import annotations

import contextlib
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hw.bus.axi import ID_BITS
from hw.bus.axi_codes import Response
from hw.config import DnaConfig
from hw.isa import Engine
from hw.status import Activity
from sim.memory.model import MemoryModel
from sim.memory.ports import MemoryPorts
from sim.rtl.axi_memory import AxiMemory
from sim.rtl.simulator import BusError, FeatureWrites, Simulator
from sim.rtl.vcd import CYCLE_NS, Waves, cut

_CYCLE = CYCLE_NS * 1e-9
_BUS_LIMIT = 1000
_SLICE_CYCLES = 64
_TRACES = {
    Engine.LOAD: "load_trace",
    Engine.POST: "post_trace",
    Engine.POOL: "pool_trace",
    Engine.DEPTHWISE: "depthwise_trace",
}


class _Simulation:
    """A component whose pins are set and read by name, cycle by cycle."""

    def __init__(self, component: Any, waves: Waves | None) -> None:
        from amaranth.hdl import Value
        from amaranth.lib.wiring import In
        from amaranth.sim import Simulator

        self._inputs: dict[str, Any] = {}
        self._outputs: dict[str, Any] = {}
        for path, member, value in component.signature.flatten(component):
            pins = self._inputs if member.flow is In else self._outputs
            pins["__".join(map(str, path))] = Value.cast(value).as_unsigned()
        self._driven: Mapping[str, int] = {}
        self._seen: dict[str, int] = {}
        self._waves = waves
        self._stack = contextlib.ExitStack()
        self._simulator = Simulator(component)
        self._simulator.add_clock(_CYCLE)
        self._simulator.add_testbench(self._testbench)
        if waves is not None:
            folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
            full = folder / "full.vcd"
            self._stack.callback(cut, full, waves)
            self._stack.enter_context(self._simulator.write_vcd(str(full)))

    async def _testbench(self, ctx: Any) -> None:
        while True:  # at the start of a cycle, its edge is half a period away
            for name, value in self._driven.items():
                ctx.set(self._inputs[name], value)
            self._seen = {name: ctx.get(value) for name, value in self._outputs.items()}
            await ctx.delay(_CYCLE)

    def clock(self, cycle: int, driven: Mapping[str, int]) -> dict[str, int]:
        """Run one cycle; returns all pins as they are at its edge."""
        if self._waves is not None and cycle == self._waves.stop:
            self.close()
        self._driven, self._seen = driven, {}
        while not self._seen:
            self._simulator.advance()
        return {**driven, **self._seen}

    def close(self) -> None:
        """Write the waves."""
        self._stack.close()


class PysimSimulator(Simulator):
    """A machine in ``amaranth.sim``."""

    def __init__(
        self,
        component: type[Any],
        config: DnaConfig,
        *,
        size: int,
        model: MemoryModel,
        record_writes: bool,
        waves: Waves | None,
    ) -> None:
        super().__init__(
            component,
            config,
            size=size,
            model=model,
            record_writes=record_writes,
            waves=waves,
        )
        self._simulation = _Simulation(component(config=config), waves)
        self._time = MemoryPorts(
            model,
            ports=config.dram_ports,
            readers=1 << ID_BITS,
            word_bytes=config.port_bytes,
        )
        self._ports = [
            AxiMemory(model, self.memory, self._time, config=config, port=port)
            for port in range(config.dram_ports)
        ]
        self._record_writes = record_writes
        self._cycle = 0
        self._busy = False
        self._writes: list[tuple[int, Engine, dict[str, int]]] = []
        self._activity: Counter[tuple[int, int, int]] = Counter()
        self._lite: dict[str, int] = {}

    @property
    def cycle(self) -> int:
        """Clock cycles since power-on."""
        return self._cycle

    def feature_writes(self) -> FeatureWrites:
        """What the last program wrote to the feature memory; empty if opened without."""
        shape = (len(self._writes), self.config.post_words, self.config.rows)
        width = self.config.post_words * self.config.rows
        content = b"".join(write["words"].to_bytes(width, "little") for *_, write in self._writes)
        address_bits = self.config.feature_address_bits
        offsets = [
            write["offsets"] >> address_bits * word & (1 << address_bits) - 1
            for *_, write in self._writes
            for word in range(self.config.post_words)
        ]
        return FeatureWrites(
            cycle=np.array([cycle for cycle, *_ in self._writes], np.int64),
            source=np.array([source for _, source, _ in self._writes], np.uint8),
            address=np.array([write["address"] for *_, write in self._writes], np.uint32),
            offsets=np.array(offsets, np.uint32).reshape(shape[:2]),
            enable=np.array([write["enable"] for *_, write in self._writes], np.uint8),
            words=np.frombuffer(content, np.int8).reshape(shape),
        )

    def layer_activity(self) -> npt.NDArray[np.int64]:
        """Cycles of the last program, int64 [engine, layer, activity]."""
        layers = 1 + max((layer for _, layer, _ in self._activity), default=-1)
        whole = np.zeros((len(Engine), layers, len(Activity)), np.int64)
        for index, count in self._activity.items():
            whole[index] = count
        return whole

    def close(self) -> None:
        """Write the waves."""
        self._simulation.close()

    def _write_register(self, offset: int, value: int) -> Response:
        self._drive(awaddr=offset, wdata=value, wstrb=0xF, bready=1, awvalid=1, wvalid=1)
        for _ in range(_BUS_LIMIT):
            pins = self._step()
            for channel in ("aw", "w"):
                if pins[f"s_axil_{channel}ready"]:
                    self._drive(**{f"{channel}valid": 0})
            if pins["s_axil_bvalid"]:
                return Response(pins["s_axil_bresp"])
        raise BusError(f"a write to register {offset:#x} got no answer by cycle {self._cycle}")

    def _read_register(self, offset: int) -> tuple[int, Response]:
        self._drive(araddr=offset, rready=1, arvalid=1)
        for _ in range(_BUS_LIMIT):
            pins = self._step()
            if pins["s_axil_arready"]:
                self._drive(arvalid=0)
            if pins["s_axil_rvalid"]:
                return pins["s_axil_rdata"], Response(pins["s_axil_rresp"])
        raise BusError(f"a read of register {offset:#x} got no answer by cycle {self._cycle}")

    def _run(self, max_cycles: int) -> bool:
        return any(self._step()["interrupt"] for _ in range(min(max_cycles, _SLICE_CYCLES)))

    def _drive(self, **pins: int) -> None:
        self._lite |= {f"s_axil_{name}": value for name, value in pins.items()}

    def _step(self) -> dict[str, int]:
        driven = dict(self._lite)
        states = self._time.offer()
        for port in self._ports:
            driven |= port.offer(states)
        pins = self._simulation.clock(self._cycle, driven)
        try:
            for port in self._ports:
                port.observe(pins)
        except BusError as error:
            raise BusError(f"{error}, by cycle {self._cycle + 1}") from None
        self._record(pins)
        self._cycle += 1
        return pins

    def _record(self, pins: Mapping[str, int]) -> None:
        if pins["busy"] and not self._busy:
            self._writes.clear()
            self._activity.clear()
        self._busy = bool(pins["busy"])
        for source, port in _TRACES.items():
            if self._record_writes and pins[f"{port}__valid"]:
                fields = ("address", "offsets", "enable", "words")
                write = {field: pins[f"{port}__{field}"] for field in fields}
                self._writes.append((self._cycle, source, write))
        if self._busy:
            for engine in Engine:
                self._activity[engine, pins[f"layers__{engine}"], pins[f"activity__{engine}"]] += 1


SIMULATOR = PysimSimulator
