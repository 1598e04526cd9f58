"""The small machines that the sweeps run on: six that have names, and two that a seed draws."""

from __future__ import annotations

import dataclasses

import numpy as np

from hw.config import PRESETS, DnaConfig
from tests.support.programs import random_config

MACHINES = {
    config.name: config
    for config in (
        PRESETS["nano"],
        PRESETS["micro"],
        DnaConfig(
            name="1x8x8",
            modules=1,
            rows=8,
            columns=8,
            lanes=8,
            accumulation_depth=64,
            dram_bytes_per_cycle=8,
            feature_words=1024,
            weight_fifo_words=4,
            depthwise_words=1,
            burst_words=4,
        ),
        DnaConfig(
            name="4x2x2",
            modules=4,
            rows=2,
            columns=2,
            lanes=8,
            accumulation_depth=8,
            dram_bytes_per_cycle=8,
            feature_words=2048,
            weight_fifo_words=8,
            depthwise_words=4,
            outstanding_bursts=2,
        ),
        DnaConfig(
            name="2x8x8",
            modules=2,
            rows=8,
            columns=8,
            lanes=16,
            accumulation_depth=32,
            dram_bytes_per_cycle=16,
            feature_words=512,
            weight_fifo_words=32,
            depthwise_words=2,
            burst_words=8,
            outstanding_bursts=4,
            dram_ports=2,
            port_granule_bytes=256,
        ),
        DnaConfig(
            name="8x2x2",
            modules=8,
            rows=2,
            columns=2,
            lanes=4,
            accumulation_depth=16,
            dram_bytes_per_cycle=16,
            feature_words=2048,
            weight_fifo_words=8,
            burst_words=4,
            outstanding_bursts=4,
            dram_ports=4,
            port_granule_bytes=64,
        ),
    )
}
"""Small machines that differ in everything; few, because each takes a minute or two to compile."""

RANDOM = ("random1", "random2")
"""Names of the machines that a seed draws."""

MOST_MACS = 256
"""Of a random machine: as many as micro has."""

NAMES = (*MACHINES, *RANDOM)
"""Of all machines of a seed."""


def machines(seed: int) -> dict[str, DnaConfig]:
    """Those above and those that ``seed`` draws, by name."""
    return MACHINES | {name: _random(seed, number) for number, name in enumerate(RANDOM)}


def _random(seed: int, number: int) -> DnaConfig:
    """Any small machine."""
    rng = np.random.default_rng([seed, number, len(NAMES)])
    while (config := random_config(rng)).macs > MOST_MACS:
        pass
    word_bytes = config.dram_bytes_per_cycle
    ports = int(rng.choice([n for n in (1, 2, 4) if word_bytes // n >= 4]))
    burst_bits = int(rng.integers(min(256 // ports, 4096 // word_bytes).bit_length()))
    burst_bytes = word_bytes << burst_bits
    return dataclasses.replace(
        config,
        name=RANDOM[number],
        dram_ports=ports,
        burst_words=1 << burst_bits,
        outstanding_bursts=max(2, ports << int(rng.integers(5))),
        port_granule_bytes=burst_bytes << int(rng.integers((4096 // burst_bytes).bit_length())),
    )
