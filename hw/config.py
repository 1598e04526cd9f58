"""Named, frozen configurations of the machine. Every width and depth in ``hw/`` comes from here."""

from __future__ import annotations

import dataclasses
import hashlib
import json

LOAD_CHUNKS = 8
"""Chunks of a row that LOAD keeps: two to read from, and what overlapping windows come back to."""

DEPTHWISE_SIDE = 3
"""Rows and columns of the block of taps that the depthwise engine takes in a cycle."""
DEPTHWISE_TAPS = DEPTHWISE_SIDE**2

# What the fields of instructions can say: an address of 24 bits, pixels of a tile in 14.
FEATURE_WORDS_LIMIT = 1 << 24
TILE_PIXELS_LIMIT = 1 << 13


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
            Equal to ``rows``, so that a column tile fills whole feature words.
        lanes: channels that the post-processing stream (requantize, residual) handles per cycle.
            A power of two from ``columns`` to ``modules * columns``.
        accumulation_depth: pixels in one accumulation tile; a bank holds two tiles so that one
            drains while the other accumulates. A power of two, at least 2, that fits the
            instruction set.
        dram_bytes_per_cycle: width of the path to external memory (a DRAM word) in bytes, all ports
            together. A power of two, at least 8 and at most ``modules * columns``.
        feature_words: words of the feature memory, all banks together; a word is ``rows`` bytes.
            A power of two, at most as many as the instruction set addresses.
        weight_fifo_words: DRAM words that the weight FIFO holds. A power of two, at least 2.
        burst_words: DRAM words of the longest burst; bursts are aligned to as many, and so never
            cross 4 KiB. A power of two, at most 256 words of a port and at most 4096 bytes.
        outstanding_bursts: bursts that each reader of the memory, and the writer, may have under
            way, shared evenly by the ports. A power of two, at least ``dram_ports``, and of at
            least two words altogether.
        dram_ports: AXI4 ports to the external memory: 1, 2 or 4. Each is ``port_bytes`` wide, at
            least 4 and at most 128 bytes.
        port_granule_bytes: of the memory window, so many bytes in turn belong to each port. A power
            of two, at least the bytes of the longest burst; without meaning if there is one port.
        depthwise_words: feature words that the depthwise engine handles per cycle, with nine
            multipliers for each of their channels. A power of two, at most ``post_words``; 0 for a
            machine without that engine.

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
    feature_words: int
    weight_fifo_words: int
    burst_words: int = 16
    outstanding_bursts: int = 8
    dram_ports: int = 1
    port_granule_bytes: int = 4096
    depthwise_words: int = 0

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
            elif not _is_power_of_two(value) and (field.name != "depthwise_words" or value != 0):
                raise ValueError(f"{field.name} must be a power of two, not {value!r}")
        if self.rows < 2:
            raise ValueError(f"rows must be at least 2, not {self.rows!r}")
        for name in ("accumulation_depth", "weight_fifo_words"):
            if getattr(self, name) < 2:
                raise ValueError(f"{name} must be at least 2, not {getattr(self, name)!r}")
        if self.columns != self.rows:
            raise ValueError(f"columns must equal rows ({self.rows}), not {self.columns!r}")
        if self.modules > 8:
            raise ValueError(f"modules must be at most 8, not {self.modules!r}")
        if not self.columns <= self.lanes <= self.modules * self.columns:
            raise ValueError(
                f"lanes must be from columns ({self.columns}) to modules x columns "
                f"({self.modules * self.columns}), not {self.lanes!r}"
            )
        if not 8 <= self.dram_bytes_per_cycle <= self.modules * self.columns:
            raise ValueError(
                "dram_bytes_per_cycle must be from 8 to modules x columns "
                f"({self.modules * self.columns}), not {self.dram_bytes_per_cycle!r}"
            )
        if self.depthwise_words > self.post_words:
            raise ValueError(
                f"depthwise_words must be at most lanes / rows ({self.post_words}), "
                f"not {self.depthwise_words!r}"
            )
        self._check_ports()
        if self.feature_words < 2 * self.modules:
            raise ValueError(
                f"feature_words must be at least 2 x modules ({2 * self.modules}), "
                f"not {self.feature_words!r}"
            )
        for name, limit in (
            ("feature_words", FEATURE_WORDS_LIMIT),
            ("accumulation_depth", TILE_PIXELS_LIMIT),
        ):
            if getattr(self, name) > limit:
                raise ValueError(
                    f"{name} must be at most {limit}, which is what instructions can say, "
                    f"not {getattr(self, name)!r}"
                )

    def _check_ports(self) -> None:
        """Refuse ports that AXI4 does not know, and bursts that they cannot carry."""
        if self.dram_ports not in (1, 2, 4):
            raise ValueError(f"dram_ports must be 1, 2 or 4, not {self.dram_ports!r}")
        if not 4 <= self.port_bytes <= 128:
            raise ValueError(
                "dram_bytes_per_cycle must be from 4 to 128 for each of dram_ports "
                f"({self.dram_ports}), not {self.dram_bytes_per_cycle!r}"
            )
        most = min(256 // self.dram_ports, 4096 // self.dram_bytes_per_cycle)
        if self.burst_words > most:
            raise ValueError(
                "burst_words must be at most 256 / dram_ports and at most 4096 / "
                f"dram_bytes_per_cycle ({most}), not {self.burst_words!r}"
            )
        if self.outstanding_bursts < self.dram_ports:
            raise ValueError(
                f"outstanding_bursts must be at least dram_ports ({self.dram_ports}), "
                f"not {self.outstanding_bursts!r}"
            )
        if self.outstanding_bursts * self.burst_words < 2:
            raise ValueError(
                "outstanding_bursts must be at least 2 if burst_words is 1, "
                f"not {self.outstanding_bursts!r}"
            )
        burst = self.burst_words * self.dram_bytes_per_cycle
        if self.dram_ports > 1 and self.port_granule_bytes < burst:
            raise ValueError(
                f"port_granule_bytes must be at least that of the longest burst ({burst}), "
                f"not {self.port_granule_bytes!r}"
            )

    @property
    def macs(self) -> int:
        """Multiply-accumulate units in the whole machine."""
        return self.modules * self.rows * self.columns

    @property
    def depthwise_macs(self) -> int:
        """Multiply-accumulate units of the depthwise engine."""
        return DEPTHWISE_TAPS * self.depthwise_words * self.rows

    @property
    def feature_address_bits(self) -> int:
        """Bits of the address of a feature word."""
        return (self.feature_words - 1).bit_length()

    @property
    def post_words(self) -> int:
        """Feature words that the post-processing stream handles per cycle."""
        return self.lanes // self.rows

    @property
    def port_bytes(self) -> int:
        """Bytes of a word of one port."""
        return self.dram_bytes_per_cycle // self.dram_ports

    @property
    def window_alignment(self) -> int:
        """Bytes of which the memory window begins at a multiple.

        No burst crosses 4 KiB then, and each is behind the port that its offset says.
        """
        return max(4096, self.dram_ports * self.port_granule_bytes if self.dram_ports > 1 else 0)

    @property
    def load_chunk_bytes(self) -> int:
        """Bytes of such a chunk: a DRAM word, or as many as hold the feature words of a cycle."""
        return max(self.dram_bytes_per_cycle, self.lanes)

    @property
    def load_overlap_bytes(self) -> int:
        """The most bytes by which a window of a LOAD may reach over the start of the next one."""
        return (LOAD_CHUNKS - 2) * self.load_chunk_bytes

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
            feature_words=4096,
            weight_fifo_words=16,
            depthwise_words=1,
        ),
        DnaConfig(
            name="ulx3s",
            modules=4,
            rows=4,
            columns=4,
            lanes=4,
            accumulation_depth=256,
            dram_bytes_per_cycle=8,
            feature_words=32768,
            weight_fifo_words=64,
        ),
        DnaConfig(
            name="micro",
            modules=4,
            rows=8,
            columns=8,
            lanes=8,
            accumulation_depth=256,
            dram_bytes_per_cycle=16,
            feature_words=262144,
            weight_fifo_words=256,
            depthwise_words=1,
        ),
        DnaConfig(
            name="small",
            modules=4,
            rows=16,
            columns=16,
            lanes=32,
            accumulation_depth=256,
            dram_bytes_per_cycle=64,
            feature_words=131072,
            weight_fifo_words=256,
            depthwise_words=2,
        ),
        DnaConfig(
            name="f100",
            modules=4,
            rows=32,
            columns=32,
            lanes=64,
            accumulation_depth=256,
            dram_bytes_per_cycle=128,
            feature_words=65536,
            weight_fifo_words=512,
            depthwise_words=2,
        ),
        DnaConfig(
            name="f200",
            modules=8,
            rows=32,
            columns=32,
            lanes=128,
            accumulation_depth=256,
            dram_bytes_per_cycle=256,
            dram_ports=2,
            port_granule_bytes=1024,
            burst_words=4,
            outstanding_bursts=32,
            feature_words=65536,
            weight_fifo_words=512,
            depthwise_words=4,
        ),
    )
}
"""The named machines, smallest first; MAC counts 32, 64, 256, 1024, 4096 and 8192.

ulx3s is for the board of that name: as large as fits its FPGA, memories and multipliers.
"""
