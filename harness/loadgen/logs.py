"""Reads what LoadGen wrote: every figure that we report about a test is its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

SUMMARY = "mlperf_log_summary.txt"
DETAIL = "mlperf_log_detail.txt"
ACCURACY = "mlperf_log_accuracy.json"
LOGS = (SUMMARY, DETAIL, ACCURACY)
ANSWER = np.dtype("<f4")
_MARK = ":::MLLOG "


class Detail:
    """``mlperf_log_detail.txt``: one JSON object a line, each a key and a value.

    Attributes:
        errors: the messages that LoadGen calls errors.
    """

    def __init__(self, folder: Path) -> None:
        self.errors: list[str] = []
        self._values: dict[str, Any] = {}
        for line in (folder / DETAIL).read_text().splitlines():
            if line.startswith(_MARK):
                entry = json.loads(line.removeprefix(_MARK))
                self._values[entry["key"]] = entry["value"]
                if entry["metadata"]["is_error"]:
                    self.errors.append(str(entry["value"]))

    def __getitem__(self, key: str) -> Any:
        """The last value of ``key``."""
        return self._values[key]


def entry(fields: dict[str, Any]) -> str:
    """A line for the detail file, in LoadGen's form."""
    return f"{_MARK}{json.dumps(fields)}\n"


def answers(folder: Path) -> dict[int, int]:
    """The class that ``mlperf_log_accuracy.json`` has for each sample, by the sample's index.

    Of a sample that was sent twice the first answer counts, as in MLPerf's script for ImageNet. An
    answer is one float32 in hexadecimal digits, as the MLPerf reference code writes it.
    """
    found: dict[int, int] = {}
    for logged in json.loads((folder / ACCURACY).read_text()):
        value = int(np.frombuffer(bytes.fromhex(logged["data"]), ANSWER)[0])
        found.setdefault(logged["qsl_idx"], value)
    return found
