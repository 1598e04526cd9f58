"""Amaranth's own simulator: slow (thousands of cycles a second), nothing to compile."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hw.config import DnaConfig
from sim.memory.stalls import Stalls
from sim.rtl.vcd import CYCLE_NS, Waves, cut
from tests.sim.rtl.streams.interface import SURPLUS_CYCLES, Engine, StreamState, describe


class PysimEngine(Engine):
    """Runs ``component(**parameters)`` in ``amaranth.sim``."""

    def __init__(self, component: type[Any], parameters: Mapping[str, DnaConfig | int]) -> None:
        from amaranth.sim import Simulator

        self._dut = component(**parameters)
        super().__init__(describe(self._dut))
        self._bench: _Bench | None = None
        self._simulator = Simulator(self._dut)
        self._simulator.add_clock(CYCLE_NS * 1e-9)
        self._simulator.add_testbench(self._testbench)

    async def _testbench(self, ctx: Any) -> None:
        assert self._bench is not None
        await self._bench.run(ctx)

    def _run(
        self,
        states: list[StreamState],
        statics: dict[str, int],
        stalls: Stalls,
        waves: Waves | None,
        deadlock_cycles: int,
    ) -> tuple[int, Literal["done", "deadlock", "surplus"]]:
        if self._bench is not None:
            self._simulator.reset()
        self._bench = bench = _Bench(self._dut, states, statics, stalls, deadlock_cycles)
        with contextlib.ExitStack() as stack:
            if waves is not None:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                full = folder / "full.vcd"
                with self._simulator.write_vcd(str(full)):
                    self._simulator.run()
                cut(full, waves)
            else:
                self._simulator.run()
        return bench.cycle, bench.verdict


class _Bench:
    """The outside world of one run."""

    def __init__(
        self,
        dut: Any,
        states: list[StreamState],
        statics: dict[str, int],
        stalls: Stalls,
        deadlock_cycles: int,
    ) -> None:
        self._dut = dut
        self._states = states
        self._statics = statics
        self._stalls = stalls
        self._deadlock_cycles = deadlock_cycles
        self.cycle = 0
        self.verdict: Literal["done", "deadlock", "surplus"] = "done"

    async def run(self, ctx: Any) -> None:
        """Testbench process: transfers all words, then looks for surplus ones."""
        for name, value in self._statics.items():
            ctx.set(getattr(self._dut, name), value)
        idle = 0
        while any(state.done < state.count for state in self._states):
            idle = 0 if self._transfer(ctx) else idle + 1
            if idle == self._deadlock_cycles:
                self.verdict = "deadlock"
                return
            await self._tick(ctx)
        for _ in range(SURPLUS_CYCLES):
            self._transfer(ctx)
            if any(state.valid for state in self._states if not state.port.is_input):
                self.verdict = "surplus"
                return
            await self._tick(ctx)

    async def _tick(self, ctx: Any) -> None:
        await ctx.tick()
        self.cycle += 1

    def _transfer(self, ctx: Any) -> bool:
        """Drive every stream for one cycle and note the transfers; whether there was one."""
        streams = [getattr(self._dut, state.port.name) for state in self._states]
        for index, (state, stream) in enumerate(zip(self._states, streams, strict=True)):
            more = state.done < state.count
            stalled = self._stalls.stalled(index, self.cycle)
            if state.port.is_input:
                offered = state.valid and not state.ready
                state.valid = more and (offered or not stalled)
                ctx.set(stream.valid, state.valid)
                if state.valid and not offered:
                    word = int.from_bytes(state.words[state.done].tobytes(), "little")
                    ctx.set(_bits(stream.payload), word)
            else:
                state.ready = more and not stalled
                ctx.set(stream.ready, state.ready)
        moved = False
        for state, stream in zip(self._states, streams, strict=True):
            if state.port.is_input:
                state.ready = bool(ctx.get(stream.ready))
            else:
                state.valid = bool(ctx.get(stream.valid))
            if not (state.valid and state.ready):
                continue
            if not state.port.is_input:
                word = ctx.get(_bits(stream.payload).as_unsigned())
                packed = word.to_bytes(state.port.bytes, "little")
                state.words[state.done] = np.frombuffer(packed, np.uint8)
            state.accepted[state.done] = self.cycle
            state.done += 1
            moved = True
        return moved


def _bits(payload: Any) -> Any:
    from amaranth.hdl import Value

    return Value.cast(payload)
