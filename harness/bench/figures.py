"""The figures of a measurement, for JSON."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

from harness.bench.measure import CHECKED_IMAGES, OURS, Bits, ContenderResult
from harness.bench.packages import PACKAGES
from harness.host import computer


def figures(
    artifact: Path, results: dict[int, dict[str, ContenderResult]], bits: Bits
) -> dict[str, Any]:
    """What was measured, for JSON.

    Args:
        artifact: that was run.
        results: by number of threads and contender.
        bits: how the functional model compares with the reference.
    """
    speeds = {
        str(count): {contender: result.images_per_s for contender, result in contenders.items()}
        for count, contenders in results.items()
    }
    peers = {
        count: max((name for name in rates if name != OURS), key=rates.__getitem__)
        for count, rates in speeds.items()
    }
    return {
        "artifact": str(artifact),
        "machine": computer.description(),
        "versions": {
            contender: importlib.metadata.version(package)
            for contender, package in PACKAGES.items()
        },
        "images_per_s": speeds,
        "best_peer": peers,
        "ratio": {count: speeds[count][OURS] / speeds[count][peers[count]] for count in speeds},
        "values": bits.values,
        "mismatches": bits.mismatches,
        "details": {
            str(count): {
                contender: {
                    "variant": result.variant,
                    "rounds": result.rounds,
                    "processors": result.processors,
                    "logits": result.logits,
                    "differing": result.differing,
                    "top1_agreement": result.agreeing / CHECKED_IMAGES,
                }
                for contender, result in contenders.items()
            }
            for count, contenders in results.items()
        },
    }
