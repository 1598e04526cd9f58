"""What a memory delivers to a machine that reads a long stream, as its weights are."""

from __future__ import annotations

from functools import cache

from hw.config import DnaConfig
from sim.memory.model import MemoryModel
from sim.memory.ports import MemoryPorts

CYCLES = 20_000
"""Cycles that are counted: 67 us at 300 MHz, with eight refreshes and more."""

IDENTIFIER = 0


@cache
def effective_bandwidth(model: MemoryModel, config: DnaConfig) -> float:
    """The part of the machine's path to ``model`` that one reader fills with a stream, above 0.

    Reads as the machine's DMA does: bursts of the longest kind, one after the other through all
    ports, as many under way as a reader may have. Counted in the model itself.
    """
    if model.dram is None:
        return model.bandwidth
    ports = MemoryPorts(model, ports=config.dram_ports, readers=1, word_bytes=config.port_bytes)
    burst = config.burst_words * config.dram_bytes_per_cycle
    words = burst // config.port_bytes
    each = config.outstanding_bursts // config.dram_ports
    under_way = [0] * config.dram_ports
    address = moved = 0
    for _ in range(CYCLES):
        states = ports.offer()
        port = address // config.port_granule_bytes % config.dram_ports
        if under_way[port] < each:
            ports.read(port, IDENTIFIER, address, words)
            under_way[port] += 1
            address += burst
        for number, state in enumerate(states):
            moved += state.rvalid
            under_way[number] -= state.rvalid and state.rlast
            ports.take(number, rready=True, bready=True)
    return moved / (CYCLES * config.dram_ports)
