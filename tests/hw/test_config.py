import dataclasses

import pytest

from hw.config import FEATURE_WORDS_LIMIT, PRESETS, TILE_PIXELS_LIMIT
from hw.isa import Opcode, field_widths

F200 = PRESETS["f200"]


def test_the_limits_are_those_of_the_instruction_set():
    fields = field_widths(Opcode.CONV)
    assert 1 << fields["in_base"] == FEATURE_WORDS_LIMIT
    assert (1 << fields["tile_pixels"]) // 2 == TILE_PIXELS_LIMIT


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"feature_words": 1 << 25}, "feature_words must be at most 16777216, .* not 33554432"),
        ({"accumulation_depth": 1 << 14}, "accumulation_depth must be at most 8192, .* not 16384"),
        ({"dram_ports": 8}, "dram_ports must be 1, 2 or 4, not 8"),
        ({"dram_ports": 1}, "from 4 to 128 for each of dram_ports .1., not 256"),
        ({"burst_words": 256}, "burst_words must be at most .* .16., not 256"),
        ({"outstanding_bursts": 1}, "outstanding_bursts must be at least dram_ports .2., not 1"),
        ({"depthwise_words": 8}, "depthwise_words must be at most lanes / rows .4., not 8"),
        ({"depthwise_words": 3}, "depthwise_words must be a power of two, not 3"),
        ({"weight_fifo_words": 1}, "weight_fifo_words must be at least 2, not 1"),
        ({"accumulation_depth": 1}, "accumulation_depth must be at least 2, not 1"),
        (
            {
                "burst_words": 1,
                "outstanding_bursts": 1,
                "dram_ports": 1,
                "dram_bytes_per_cycle": 64,
            },
            "outstanding_bursts must be at least 2 if burst_words is 1, not 1",
        ),
        ({"modules": 0}, "modules must be a power of two, not 0"),
        ({"port_granule_bytes": 512}, "at least that of the longest burst .1024., not 512"),
    ],
)
def test_what_no_machine_can_be_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(F200, **change)


def test_a_window_begins_with_a_granule_of_the_first_port():
    assert F200.window_alignment == 4096
    assert dataclasses.replace(F200, port_granule_bytes=8192).window_alignment == 16384
    assert PRESETS["nano"].window_alignment == 4096
