"""The figures of a measurement, for JSON."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

from harness.bench.contenders import OURS
from harness.bench.measure import CHECKED_IMAGES, Bits, ContenderResult
from harness.bench.packages import PACKAGES
from harness.host import computer


def figures(
    artifact: Path,
    results: dict[int, dict[str, ContenderResult]],
    bits: Bits,
    *,
    missing: dict[str, str],
    isa: str | None,
    macs: int,
    peaks: dict[int, float],
) -> dict[str, Any]:
    """What was measured, for JSON.

    The best peer is the fastest one, with ``isa`` the fastest of those that were limited and whose
    sums are exact: instructions that saturate do less work. It is None if there is none.

    Args:
        artifact: that was run.
        results: by number of threads and contender.
        bits: how the functional model compares with the reference.
        missing: peers that cannot run the network, and what they say.
        isa: the instruction set that engines were limited to.
        macs: multiply-accumulates of an image.
        peaks: measured multiply-accumulates a second of the instruction set that the functional
            model used, by number of threads; empty if it has no kernels here.
    """
    speeds = {
        str(count): {contender: result.images_per_s for contender, result in contenders.items()}
        for count, contenders in results.items()
    }
    peers = {
        str(count): max(
            (
                name
                for name, result in contenders.items()
                if name != OURS and (isa is None or (result.limited and result.exact))
            ),
            key=speeds[str(count)].__getitem__,
            default=None,
        )
        for count, contenders in results.items()
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
        "ratio": {
            count: None if peer is None else speeds[count][OURS] / speeds[count][peer]
            for count, peer in peers.items()
        },
        "cannot_run": missing,
        "isa": isa,
        "macs": macs,
        "peak_macs_per_s": {str(count): peak for count, peak in peaks.items()},
        "values": bits.values,
        "mismatches": bits.mismatches,
        "details": {
            str(count): {
                contender: {
                    "variant": result.variant,
                    "kernels": result.kernels,
                    "exact": result.exact,
                    "limited": result.limited,
                    "share_of_peak": (
                        result.images_per_s * macs / peaks[count] if count in peaks else None
                    ),
                    "rounds": result.rounds,
                    "processors": result.processors,
                    "logits": result.logits,
                    "differing": result.differing,
                    "top1_agreement": (
                        None if result.agreeing is None else result.agreeing / CHECKED_IMAGES
                    ),
                }
                for contender, result in contenders.items()
            }
            for count, contenders in results.items()
        },
    }
