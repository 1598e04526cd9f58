import json

import pytest

from harness.report.trace import trace
from hw.isa import Engine
from tests.support.report_runs import made


def test_a_track_per_engine_and_a_slice_per_instruction():
    figures = made()
    document = json.loads(json.dumps(trace(figures)))
    events = document["traceEvents"]
    names = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert names == {int(engine): engine.name for engine in Engine}
    slices = [e for e in events if e["ph"] == "X"]
    assert len(slices) == len(figures.spans)
    for event, span in zip(slices, figures.spans, strict=True):
        assert names[event["tid"]] == span.engine
        assert event["name"] == figures.layers[span.layer].name
        assert event["ts"] == pytest.approx(span.start / 200)  # microseconds at 200 MHz
        assert event["dur"] == pytest.approx((span.end - span.start) / 200)
    assert document["otherData"]["modelled"] is True
