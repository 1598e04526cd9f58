"""How large a machine is, by arithmetic on its configuration: an estimate for reports and sweeps.

Memories, multipliers, processing elements, adder tree and delay lines are counted as ``hw/`` builds
them. The control logic around them was measured: each block has sizes that it grows with, and how
much for each stands in ``area_constants.py``, with where it comes from: registers of the RTL, and
Yosys' estimate (``resources.py``, minutes a machine) of small machines, which
``python -m tests.sweeps.area`` renews. Nothing was placed or routed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

from harness.hardware.area_constants import CONSTANTS
from hw.config import DEPTHWISE_SIDE, DEPTHWISE_TAPS, LOAD_CHUNKS, DnaConfig
from hw.microarchitecture import (
    DEPTHWISE_COLUMNS,
    DEPTHWISE_KERNEL,
    DEPTHWISE_ROW_BANKS,
    DEPTHWISE_ROWS,
    ELEMENT_LATENCY,
    ENTRY_LATENCY,
    FEATURE_READS,
    PARAMETER_BYTES,
    PARAMETER_TILES,
    POST_WORDS_UNDER_WAY,
    TABLE_BYTES,
    TABLE_WORD_BYTES,
)

DEVICE = "XCVU13P"
DEVICE_HAS = {"lut": 1_728_000, "ff": 3_456_000, "dsp": 12_288, "bram": 2_688, "uram": 1_280}
"""What the FPGA has that :attr:`Area.shares` refers to (AMD DS890, UltraScale+)."""

READERS = 3
"""Clients of the DMA that read: instructions, LOAD, WEIGHTS."""

_DISTRIBUTED_WORDS = 64
"""Memories of at most so many words are put into LUTs."""
_ULTRA_WORDS, _ULTRA_BITS = 4096, 72
"""An UltraRAM; memories of as many words or more become it."""
_HALF_SHAPES = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))
"""Words and bits of half a block RAM of 36 Kbit with a read and a write port (AMD UG573)."""


class AreaBlock(msgspec.Struct, frozen=True):
    """What a block takes; ``bram`` in blocks of 36 Kbit."""

    name: str
    lut: float = 0
    ff: float = 0
    dsp: float = 0
    bram: float = 0
    uram: float = 0


class Area(msgspec.Struct, frozen=True):
    """An estimate.

    Attributes:
        blocks: the engines and what is between them.
        total: of them.
        device: an FPGA to compare with.
        shares: of what the device has.
        luts: one figure to compare machines by: LUTs, and the other kinds of resource as the LUTs
            that the device has for each of them.
        memory_bits: of all memories in ``hw/``, whatever they become.
    """

    blocks: list[AreaBlock]
    total: AreaBlock
    device: str
    shares: dict[str, float]
    luts: float
    memory_bits: int

    @property
    def fits(self) -> bool:
        """Whether the device has enough of everything."""
        return max(self.shares.values()) <= 1


class Memory(msgspec.Struct, frozen=True):
    """``count`` memories; with ``registers`` their output is in flip-flops if they are in LUTs."""

    words: int
    width: int
    count: int = 1
    in_luts: bool = False
    registers: bool = True

    def area(self, name: str) -> AreaBlock:
        """What they take, as a block of this name."""
        count = self.count
        if self.in_luts or self.words <= _DISTRIBUTED_WORDS:
            # A RAM32M16 or RAM64M8 has 8 LUTs and 14 or 7 bits of a word (AMD UG574).
            cells = math.ceil(self.width / 14) * math.ceil(self.words / 32)
            flip_flops = self.width if self.registers else 0
            return AreaBlock(name, lut=8 * cells * count, ff=flip_flops * count)
        if self.words >= _ULTRA_WORDS:
            columns = math.ceil(self.width / _ULTRA_BITS)
            return AreaBlock(name, uram=columns * math.ceil(self.words / _ULTRA_WORDS) * count)
        halves = min(
            math.ceil(self.words / words) * math.ceil(self.width / bits)
            for words, bits in _HALF_SHAPES
        )
        return AreaBlock(name, bram=halves * count / 2)


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A block before it is added up.

    Attributes:
        sizes: what the logic around grows with; ``CONSTANTS`` has a factor for each.
        counted: what is counted as ``hw/`` builds it.
        memories: in it.
    """

    name: str
    sizes: tuple[float, ...]
    counted: AreaBlock = AreaBlock("")
    memories: tuple[Memory, ...] = ()

    @property
    def known(self) -> AreaBlock:
        """All but what ``CONSTANTS`` say."""
        return _sum(
            self.name, [self.counted, *(memory.area(self.name) for memory in self.memories)]
        )

    @property
    def area(self) -> AreaBlock:
        """All of it."""
        around = {
            kind: sum(
                factor * size
                for factor, size in zip(CONSTANTS[self.name][kind], self.sizes, strict=True)
            )
            for kind in ("lut", "ff")
        }
        return _sum(self.name, [self.known, AreaBlock(self.name, **around)])


def area(config: DnaConfig) -> Area:
    """Estimate the machine ``config``."""
    parts = [*parts_of(config)]
    blocks = [part.area for part in parts]
    total = _sum("machine", blocks)
    figures = {kind: getattr(total, kind) for kind in DEVICE_HAS}
    return Area(
        blocks=blocks,
        total=total,
        device=DEVICE,
        shares={kind: figures[kind] / DEVICE_HAS[kind] for kind in DEVICE_HAS},
        luts=sum(
            figures[kind] * DEVICE_HAS["lut"] / DEVICE_HAS[kind]
            for kind in ("lut", "dsp", "bram", "uram")
        ),
        memory_bits=sum(
            memory.words * memory.width * memory.count for part in parts for memory in part.memories
        ),
    )


def _sum(name: str, blocks: list[AreaBlock]) -> AreaBlock:
    return AreaBlock(
        name, **{kind: sum(getattr(block, kind) for block in blocks) for kind in DEVICE_HAS}
    )


def parts_of(config: DnaConfig) -> Iterator[Part]:
    """The blocks of a machine."""
    word = 8 * config.dram_bytes_per_cycle
    window = 8 * config.rows * config.modules  # bits that the arrays, and POOL, read in a cycle
    stream = 8 * config.lanes
    burst_words = config.burst_words * config.outstanding_bursts
    has_depthwise = int(config.depthwise_words > 0)
    yield Part(name="control", sizes=(1,))
    yield Part(
        name="DMA",
        sizes=(1, word, config.dram_ports),
        memories=(
            # Words of each reader at each port; bursts of each reader; words to be written.
            Memory(
                burst_words // config.dram_ports,
                word + 1,
                READERS * config.dram_ports,
                registers=False,
            ),
            Memory(burst_words, 33 + config.burst_words.bit_length(), READERS, registers=False),
            Memory(2 * config.burst_words, word + 1, config.dram_ports, registers=False),
        ),
    )
    yield Part(
        name="feature memory",
        # Two buffers at each of the two kinds of port; words rotate to and from their banks.
        sizes=(1, window + stream, window * math.log2(config.modules)),
        counted=_kept(config, 3 + has_depthwise),
        memories=(
            Memory(config.feature_words // config.modules, 8 * config.rows, config.modules),
            # Answers for POST, POOL and STORE, and for DEPTHWISE.
            Memory(FEATURE_READS, stream, 3 + has_depthwise, registers=False),
        ),
    )
    yield _depthwise(config)
    chunk = config.load_chunk_bytes
    yield Part(
        name="LOAD",
        # A ring of chunks, and a shifter of any number of bytes behind it.
        sizes=(1, stream, stream * math.log2(chunk)),
        memories=(Memory(LOAD_CHUNKS // 2, 8 * chunk, 2),),
    )
    yield Part(
        name="WEIGHTS",
        sizes=(1,),
        memories=(Memory(config.weight_fifo_words, word),),
    )
    yield Part(name="STORE", sizes=(1, stream))
    yield Part(
        name="CONV reader, unpacker",
        sizes=(1, config.modules, 8 * config.modules * config.columns),
        counted=AreaBlock("", dsp=1),
    )
    yield _arrays(config)
    yield _interconnect(config)
    yield _banks(config)
    yield Part(
        name="POST",
        sizes=(1, config.lanes),
        # Each lane: a requantizer and an adder, two multipliers of 2 DSP blocks and one of 1; which
        # byte of the table's word, what enters the table, what leaves POST; a product or the
        # accumulator, its bias and scale, and a register behind; the product, and which of two
        # counts.
        counted=AreaBlock(
            "",
            lut=(16 + 8 + 8 + 8 + 3 * 32) * config.lanes,
            ff=(11 + 18 + 2 + 3 * 32) * config.lanes + 8 * config.modules * config.columns,
            dsp=5 * config.lanes,
        ),
        memories=(
            # The parameters, 64 bits a channel.
            Memory(PARAMETER_TILES * config.modules // config.post_words, 64 * config.lanes),
            # Two tables, a copy in each lane.
            Memory(2 * TABLE_BYTES // TABLE_WORD_BYTES, 8 * TABLE_WORD_BYTES, config.lanes),
            # What came for the residual, and what is done; where it goes.
            Memory(POST_WORDS_UNDER_WAY, stream, 2, registers=False),
            Memory(POST_WORDS_UNDER_WAY, config.feature_words.bit_length(), registers=False),
        ),
    )
    yield Part(
        name="POOL",
        sizes=(1, config.lanes, window),
        # Sums of a mean that wait for the one float32 pipeline.
        counted=AreaBlock("", ff=config.lanes * (8 + config.feature_address_bits), dsp=7),
    )


def _kept(config: DnaConfig, readers: int) -> AreaBlock:
    """What banks gave a reader before others did, and where each client's access to a bank is."""
    if config.post_words == 1:
        return AreaBlock("")
    kept = 8 * config.rows * config.modules * readers
    return AreaBlock("", lut=kept, ff=kept)


def _depthwise(config: DnaConfig) -> Part:
    """The line buffer, nine multipliers and a requantizer for each channel.

    Of each tap one of so many words, where several pixels share them: one of 2, or of up to 6.
    """
    channels = config.depthwise_words * config.rows
    tap_bits = 8 * DEPTHWISE_TAPS * channels
    choice = max(0, config.depthwise_words.bit_length() - 1)
    there = int(channels > 0)
    row = 8 * channels
    columns = DEPTHWISE_COLUMNS // DEPTHWISE_SIDE
    blocks = math.ceil(DEPTHWISE_KERNEL / DEPTHWISE_SIDE) ** 2
    return Part(
        name="DEPTHWISE",
        sizes=(there, channels),
        counted=AreaBlock(
            "", lut=choice * tap_bits, ff=tap_bits, dsp=config.depthwise_macs + 4 * channels
        ),
        memories=(
            # For each pair of a row bank and a column bank.
            Memory(
                DEPTHWISE_ROWS // DEPTHWISE_ROW_BANKS * columns,
                row,
                DEPTHWISE_ROW_BANKS * DEPTHWISE_SIDE * there,
            ),
            # Weights of two groups, a block of them in a word; bias and scale by bytes.
            Memory(2 << (blocks - 1).bit_length(), row, DEPTHWISE_TAPS * there),
            Memory(2, row, PARAMETER_BYTES * there),
            # What is done; where it goes.
            Memory(POST_WORDS_UNDER_WAY, row, there, registers=False),
            Memory(POST_WORDS_UNDER_WAY, config.feature_words.bit_length(), there, registers=False),
        ),
    )


def _arrays(config: DnaConfig) -> Part:
    """The processing elements, and the delay lines around them."""
    rows, columns, modules = config.rows, config.columns, config.modules
    sum_bits = 16 + int(math.log2(rows))
    # Weight, next weight, activation, swap, product, sum; the last column passes no swap on, the
    # first row of sums starts with 16 bits.
    element_bits = 8 + 8 + 8 + 1 + 16 + sum_bits
    elements = rows * columns * element_bits - rows - (sum_bits - 16) * columns
    # A delay of up to two cycles is in flip-flops, a longer one in shift registers of up to 32.
    skewed = 8 + 8 + sum_bits
    shift = sum(math.ceil(cycles / 32) for cycles in range(3, rows)) * skewed
    # The pulses that load rows and swap weights keep flip-flops, and whether there is a pixel.
    control = (rows + 1) * (columns - 1)
    latency = ENTRY_LATENCY + rows + columns - 2 + ELEMENT_LATENCY
    flags = 3 + modules.bit_length()
    return Part(
        name="CONV arrays",
        sizes=(modules, modules * rows * columns),
        counted=AreaBlock(
            "",
            # An adder each; weights wait as long as a window takes.
            lut=modules * (rows * columns * sum_bits + shift + 8 * columns)
            + flags * math.ceil(latency / 32),
            ff=modules * (elements + 3 * skewed + control) + latency,
            dsp=config.macs,
        ),
    )


def _interconnect(config: DnaConfig) -> Part:
    """The stages of adders: a register for each bank and column, and a choice before each adder."""
    modules, columns = config.modules, config.columns
    sum_bits = 16 + int(math.log2(config.rows))
    levels = range(1, int(math.log2(modules)) + 1)
    adders = sum((modules >> level) * columns * (sum_bits + level) for level in levels)
    registers = sum(modules * columns * (sum_bits + level) for level in levels)
    return Part(
        name="CONV interconnect",
        sizes=(1,),
        counted=AreaBlock("", lut=2 * adders, ff=registers),
    )


def _banks(config: DnaConfig) -> Part:
    """The accumulation memory: two tiles a bank, sums in stages, two slots for what leaves."""
    sum_bits = 16 + int(math.log2(config.rows * config.modules))
    modules, columns = config.modules, config.columns
    return Part(
        name="CONV accumulation",
        sizes=(modules, modules * columns),
        # What comes in is sum_bits wide for three stages.
        counted=AreaBlock("", ff=3 * modules * sum_bits * columns),
        memories=(Memory(config.accumulation_depth, 32 * columns, 2 * modules, registers=False),),
    )
