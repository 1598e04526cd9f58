"""The run as a trace in Chrome's JSON format, which Perfetto opens."""

from __future__ import annotations

from typing import Any

import msgspec

from harness.report.figures import Report
from hw.isa import Engine

_PROCESS = 1


def trace(report: Report) -> dict[str, Any]:
    """Events of the "Trace Event Format": one track per engine, times in microseconds.

    The viewers ask for microseconds; cycle c is at c / the clock in MHz.
    """
    names = [
        _name("process_name", 0, f"{report.model} on {report.config}, modelled"),
        *(_name("thread_name", engine, engine.name) for engine in Engine),
    ]
    spans = [
        {
            "name": report.layers[span.layer].name,
            "cat": span.opcode,
            "ph": "X",
            "pid": _PROCESS,
            "tid": int(Engine[span.engine]),
            "ts": span.start / report.clock.mhz,
            "dur": (span.end - span.start) / report.clock.mhz,
            "args": {
                "instruction": span.index,
                "opcode": span.opcode,
                "start_cycle": span.start,
                "cycles": span.end - span.start,
            },
        }
        for span in report.spans
    ]
    used = [
        {
            "name": "MAC utilization",
            "ph": "C",
            "pid": _PROCESS,
            "ts": (layer.end - layer.cycles) / report.clock.mhz,
            "args": {"percent": 100 * layer.utilization},
        }
        for layer in report.layers
        if layer.cycles
    ]
    return {
        "displayTimeUnit": "ns",
        "otherData": {
            "modelled": True,
            "configuration": report.config,
            "clock": msgspec.to_builtins(report.clock),
        },
        "traceEvents": [*names, *spans, *used],
    }


def _name(kind: str, thread: int, name: str) -> dict[str, Any]:
    return {"name": kind, "ph": "M", "pid": _PROCESS, "tid": thread, "args": {"name": name}}
