"""Named, frozen configurations of the machine. Every width and depth in ``hw/`` comes from here."""

from __future__ import annotations

import dataclasses
import hashlib
import json


def _is_power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class DnaConfig:
    """The parameters that fix one machine.

    Attributes:
        name: what the configuration is called in reports.
        modules: convolution modules, G. A power of two.
        rows: rows of each systolic array, R: input channels taken in per cycle. A power of two.
        columns: columns of each systolic array, C: output channels computed per cycle.
            A power of two.
        lanes: channels that the post-processing stream (requantize, residual, pool) handles per
            cycle. A power of two that divides ``modules * columns`` or is a multiple of it.
        accumulation_depth: pixels in one accumulation tile; a bank holds two tiles so that one
            drains while the other accumulates. A power of two.
        dram_bytes_per_cycle: width of the path to external memory in bytes. A power of two.

    Raises:
        ValueError: a parameter is out of range; the message quotes its value.
    """

    name: str
    modules: int
    rows: int
    columns: int
    lanes: int
    accumulation_depth: int
    dram_bytes_per_cycle: int

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name == "name":
                if not isinstance(value, str) or not value:
                    raise ValueError(
                        f"Configuration name must be a non-empty string, not {value!r}"
                    )
            elif not isinstance(value, int) or isinstance(value, bool):
                raise ValueError(f"{field.name} must be an integer, not {value!r}")
            elif not _is_power_of_two(value):
                raise ValueError(f"{field.name} must be a power of two, not {value!r}")
        if self.rows < 2:
            raise ValueError(f"rows must be at least 2, not {self.rows!r}")
        if self.columns < 2:
            raise ValueError(f"columns must be at least 2, not {self.columns!r}")

    @property
    def macs(self) -> int:
        """Multiply-accumulate units in the whole machine."""
        return self.modules * self.rows * self.columns

    @property
    def digest(self) -> str:
        """Sixteen hex digits that change with any parameter but the name."""
        parameters = dataclasses.asdict(self)
        del parameters["name"]
        text = json.dumps(parameters, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


PRESETS = {
    config.name: config
    for config in (
        DnaConfig(
            name="nano",
            modules=2,
            rows=4,
            columns=4,
            lanes=4,
            accumulation_depth=16,
            dram_bytes_per_cycle=8,
        ),
        DnaConfig(
            name="micro",
            modules=4,
            rows=8,
            columns=8,
            lanes=8,
            accumulation_depth=256,
            dram_bytes_per_cycle=16,
        ),
        DnaConfig(
            name="small",
            modules=4,
            rows=16,
            columns=16,
            lanes=32,
            accumulation_depth=256,
            dram_bytes_per_cycle=64,
        ),
        DnaConfig(
            name="f100",
            modules=4,
            rows=32,
            columns=32,
            lanes=64,
            accumulation_depth=256,
            dram_bytes_per_cycle=128,
        ),
        DnaConfig(
            name="f200",
            modules=8,
            rows=32,
            columns=32,
            lanes=128,
            accumulation_depth=256,
            dram_bytes_per_cycle=256,
        ),
    )
}
"""The named machines, smallest first; MAC counts 32, 256, 1024, 4096 and 8192."""
