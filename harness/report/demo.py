"""The last page of ``make demo``: what the steps before it found, in one table."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from harness.host import computer
from harness.host.terminal import Console, Table


def _read(folder: Path, name: str) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
    return figures


def summary(folder: Path) -> Table:
    """The table, from the JSON files that the steps left in ``folder``.

    Raises:
        OSError: a step left none.
    """
    quantized, compared, verified = (
        _read(folder, name) for name in ("quantize", "compare", "verify")
    )
    stream, offline, accuracy = (
        _read(folder, name) for name in ("single_stream", "offline", "accuracy")
    )
    table = Table("question", "answer", title="ResNet50 on the open DNA", lines=True, prose=True)
    table.add_row(
        "Is 8 bits as good as float32?",
        f"top-1 {quantized['int8_top1']:.1%} against {quantized['fp32_top1']:.1%}, agreement "
        f"{quantized['agreement']:.1%}, on the {quantized['images']} photographs it was "
        "calibrated on: a check, not an accuracy",
    )
    table.add_row(
        "Do reference, functional model and LiteRT agree?",
        f"{compared['mismatches']:,} of {compared['values']:,} values differ, over "
        f"{len(compared['operators'])} operations and {compared['inputs']} photographs",
    )
    table.add_row(
        "Does the hardware agree?",
        f"{verified['mismatches']:,} of {verified['values']:,} values differ, over "
        f"{len(verified['layers'])} layers in RTL ({verified['config']}, "
        f"{verified['engine']}), {verified['cycles']:,} cycles",
    )
    for name, figures in (("SingleStream", stream), ("Offline", offline)):
        speed = (
            f"90th percentile {figures['p90_ms']:.1f} ms"
            if name == "SingleStream"
            else f"{figures['qps']:.1f} images/s"
        )
        verdict = "VALID" if figures["valid"] else "INVALID"
        length = "full length" if figures["full_length"] else "shorter than MLPerf asks"
        table.add_row(
            f"LoadGen, {name}",
            f"{verdict}, {length}: {speed}, functional model on this computer (host time, not "
            "the hardware's)",
        )
    table.add_row(
        "LoadGen, accuracy", f"top-1 {accuracy['top1']:.1%} of {accuracy['images']} photographs"
    )
    table.add_row("This computer", computer.description())
    return table


if __name__ == "__main__":
    Console().print(summary(Path(sys.argv[1])))
