"""Reads what LoadGen wrote: every figure that we report about a test is its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from sw.errors import DnaError

SUMMARY = "mlperf_log_summary.txt"
DETAIL = "mlperf_log_detail.txt"
ACCURACY = "mlperf_log_accuracy.json"
LOGS = (SUMMARY, DETAIL, ACCURACY)
ANSWER = np.dtype("<f4")
TIMING = "dna_timing"
"""Our own key in the detail file: that the times are modelled, and of what machine."""

MERIT = {
    "SingleStream": "result_90.00_percentile_latency_ns",
    "MultiStream": "result_99.00_percentile_per_query_latency_ns",
    "Offline": "result_samples_per_second",
}
"""What MLPerf ranks a scenario by, as the detail file calls it."""

_MARK = ":::MLLOG "


class Detail:
    """``mlperf_log_detail.txt``: one JSON object a line, each a key and a value.

    Attributes:
        folder: that the file is in.
        errors: the messages that LoadGen calls errors.
    """

    def __init__(self, folder: Path) -> None:
        """Read it.

        Raises:
            DnaError: it is missing or cut short.
        """
        self.errors: list[str] = []
        self.folder = folder
        self._path = folder / DETAIL
        self._values: dict[str, Any] = {}
        try:
            for line in self._path.read_text().splitlines():
                if line.startswith(_MARK):
                    entry = json.loads(line.removeprefix(_MARK))
                    self._values[entry["key"]] = entry["value"]
                    if entry["metadata"]["is_error"]:
                        self.errors.append(str(entry["value"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DnaError(
                f"{folder} has no LoadGen logs that can be read: {DETAIL}: {error}"
            ) from error

    def get(self, key: str) -> Any:
        """The last value of ``key``, or None."""
        return self._values.get(key)

    def __getitem__(self, key: str) -> Any:
        """The last value of ``key``.

        Raises:
            DnaError: there is none, as when the file was cut short.
        """
        if key not in self._values:
            raise DnaError(f"{self._path} has no {key}: it was cut short")
        return self._values[key]

    def number(self, key: str) -> float:
        """The last value of ``key``, which must be a number.

        Raises:
            DnaError: there is none, or it is none.
        """
        value = self[key]
        if not isinstance(value, int | float):
            raise DnaError(f"{self._path} is damaged: {key} is {value!r}, no number")
        return value


def entry(fields: dict[str, Any]) -> str:
    """A line for the detail file, in LoadGen's form."""
    return f"{_MARK}{json.dumps(fields)}\n"


def mark(folder: Path, timing: str) -> None:
    """Say in LoadGen's summary and detail what their times are of.

    A line is added at the end, in the form of the file, under a key of our own; what LoadGen wrote
    stays as it is.

    Args:
        folder: of the logs.
        timing: that, in a line.

    Raises:
        DnaError: a file cannot be written.
    """
    fields = {"key": TIMING, "value": timing, "metadata": {"is_error": False}}
    lines = {
        SUMMARY: f"\nAdded by dna loadgen, not by LoadGen:\nTiming : {timing}\n",
        DETAIL: entry(fields),
    }
    try:
        for name, text in lines.items():
            with (folder / name).open("a") as file:
                file.write(text)
    except OSError as error:
        raise DnaError(f"cannot write the logs in {folder}: {error.strerror}") from error


def answers(folder: Path) -> dict[int, int]:
    """The class that ``mlperf_log_accuracy.json`` has for each sample, by the sample's index.

    Of a sample that was sent twice the first answer counts, as in MLPerf's script for ImageNet. An
    answer is one float32 in hexadecimal digits, as the MLPerf reference code writes it.

    Raises:
        DnaError: the file is missing or damaged.
    """
    found: dict[int, int] = {}
    for index, data in raw_answers(folder / ACCURACY):
        try:
            value = int(np.frombuffer(bytes.fromhex(data), ANSWER)[0])
        except (ValueError, IndexError, OverflowError) as error:
            raise DnaError(
                f"{folder / ACCURACY}: the answer {data!r} of sample {index} is no float32"
            ) from error
        found.setdefault(index, value)
    return found


def raw_answers(path: Path) -> list[tuple[int, str]]:
    """Index of the sample and the answer's hexadecimal digits, of every entry in ``path``.

    Raises:
        DnaError: the file is missing or damaged.
    """
    try:
        entries = json.loads(path.read_text())
        return [(int(entry["qsl_idx"]), str(entry["data"])) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DnaError(f"cannot read {path}: {error}") from error
