"""What an image costs in energy: events of the modelled run times the energy of each.

All of it is an estimate. Events are counted by the cycle model and in the program: useful
multiply-accumulates, words of each memory, requantizations, bits moved in DRAM, registers times
cycles (nothing is gated). Left out: leakage, wires, glitches, zeros in the unused part of the
arrays, whatever is behind the AXI4-Lite port.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from harness.hardware.area import area
from harness.hardware.energy_constants import DEFAULT, DRAM, TECHNOLOGIES, Range, Technology
from hw.config import DnaConfig
from hw.isa import Engine
from hw.status import Activity
from sim.cycles import Prediction
from sw.program import LayerTable, Program

ACCUMULATOR_BITS = 32
PICO = 1e-9
"""mJ in a pJ."""


class EnergyBlock(msgspec.Struct, frozen=True, kw_only=True):
    """A block, for one image.

    Attributes:
        events: how many of each kind; of a clock: flip-flops times cycles.
        mj: their energy.
        mj_low, mj_high: with the lowest and the highest energies of the table.
        sram_mm2: of its memory, if it is one of the large ones and the technology has areas.
    """

    name: str
    events: dict[str, float]
    mj: float
    mj_low: float
    mj_high: float
    sram_mm2: float | None = None


class Energy(msgspec.Struct, frozen=True, kw_only=True):
    """An estimate, of one image.

    Attributes:
        estimated: always.
        technology: of the machine (:data:`TECHNOLOGIES`).
        mj_per_image, mj_low, mj_high: of the machine and the DRAM.
        mj_machine: of the machine alone.
        watts: on average while it works, at its clock.
        tops_per_w: two operations a multiply-accumulate, machine and DRAM.
        tops_per_w_machine: of the machine alone.
        sram_mm2: of the large memories, if the technology has areas.
        blocks: DRAM is the last one.
        sources: of the energies.
    """

    estimated: bool
    technology: str
    mj_per_image: float
    mj_low: float
    mj_high: float
    mj_machine: float
    watts: float
    tops_per_w: float
    tops_per_w_machine: float
    sram_mm2: float | None
    blocks: list[EnergyBlock]
    sources: dict[str, str]


def energy(
    program: Program,
    prediction: Prediction,
    *,
    memory: str,
    clock_mhz: float,
    technology: str = DEFAULT,
) -> Energy:
    """What ``prediction``, a run of ``program``, costs for each of its images.

    Args:
        memory: name of the one behind the machine (:mod:`sim.memory.presets`).
        clock_mhz: of the machine; only watts depend on it.
        technology: one of :data:`TECHNOLOGIES`.
    """
    table = TECHNOLOGIES[technology]
    dram = DRAM[_kind(memory)]
    counted = _Counted(program, prediction, table)
    blocks = []
    for block in area(program.config).blocks:
        events = {"flip-flop cycles": (block.ff * prediction.cycles, table.flip_flop)}
        made = _block(block.name, events | counted.of(block.name), program.images)
        if block.name in counted.memories:
            mm2 = counted.memories[block.name].mm2(table)
            made = msgspec.structs.replace(made, sram_mm2=mm2)
        blocks.append(made)
    words = sum(prediction.words_read.values()) + prediction.words_written
    bits = 8 * words * program.config.dram_bytes_per_cycle
    blocks.append(_block("DRAM", {"bits": (bits, dram.bit)}, program.images))
    machine = sum(block.mj for block in blocks[:-1])
    areas = [block.sram_mm2 for block in blocks if block.sram_mm2 is not None]
    whole = machine + blocks[-1].mj
    operations = 2 * sum(layer.macs for layer in program.layers) / program.images
    seconds = prediction.cycles / program.images / (clock_mhz * 1e6)
    return Energy(
        estimated=True,
        technology=technology,
        mj_per_image=whole,
        mj_low=sum(block.mj_low for block in blocks),
        mj_high=sum(block.mj_high for block in blocks),
        mj_machine=machine,
        watts=whole * 1e-3 / seconds,
        tops_per_w=operations / whole * PICO,
        tops_per_w_machine=operations / machine * PICO,
        sram_mm2=sum(areas) if areas else None,
        blocks=blocks,
        sources={technology: table.source, "DRAM": dram.source},
    )


def _kind(memory: str) -> str:
    """Such as ddr4, of 2xddr4-2400x64."""
    return memory.partition("-")[0].rpartition("x")[2]


def _block(name: str, events: dict[str, tuple[float, Range]], images: int) -> EnergyBlock:
    total = Range(0, 0, 0)
    for count, each in events.values():
        total += each * (count / images)
    return EnergyBlock(
        name=name,
        events={event: count / images for event, (count, _) in events.items()},
        mj=total.usual * PICO,
        mj_low=total.low * PICO,
        mj_high=total.high * PICO,
    )


class _Memories(msgspec.Struct, frozen=True):
    """Equal memories on the chip: how many, bits of a word, words."""

    count: int
    bits: int
    words: int

    def word(self, table: Technology) -> Range:
        """Energy of a word read or written."""
        return table.word(self.bits, self.words * self.bits / 8)

    def mm2(self, table: Technology) -> float | None:
        """Area of all."""
        each = table.sram.mm2(self.bits, self.words * self.bits / 8)
        return None if each is None else self.count * each


def _memories(config: DnaConfig) -> dict[str, _Memories]:
    """The large memories by area block."""
    return {
        "CONV accumulation": _Memories(
            2 * config.modules, config.columns * ACCUMULATOR_BITS, config.accumulation_depth
        ),
        "feature memory": _Memories(
            config.modules, 8 * config.rows, config.feature_words // config.modules
        ),
        "WEIGHTS": _Memories(1, 8 * config.dram_bytes_per_cycle, config.weight_fifo_words),
    }


class _Counted:
    """Events of a run by block, with the energy of each."""

    def __init__(self, program: Program, prediction: Prediction, table: Technology) -> None:
        self._program, self._table = program, table
        self._config: DnaConfig = program.config
        self.memories = _memories(program.config)
        self._busy = prediction.activity[:, :, Activity.BUSY]

    def of(self, block: str) -> dict[str, tuple[float, Range]]:
        """The events of an area block of that name, but for its clock."""
        table, config = self._table, self._config
        match block:
            case "CONV arrays":
                return {"multiply-accumulates": (self._macs("conv"), table.mac)}
            case "DEPTHWISE":
                return {"multiply-accumulates": (self._macs("depthwise"), table.mac)}
            case "CONV accumulation":
                words = sum(self._sums())
                drained = sum(self._values("conv")) / config.columns
                adds = (words * config.columns, table.accumulation)
                return {"words": (2 * words + drained, self._word(block)), "additions": adds}
            case "feature memory":
                return {"words": (sum(self._feature_words()), self._word(block))}
            case "WEIGHTS":
                streamed = sum(layer.weight_bytes for layer in self._program.layers)
                words = 2 * streamed / config.dram_bytes_per_cycle
                return {"words": (words, self._word(block))}
            case "POST":
                # The two multipliers of an addition are as large.
                requantized = sum(self._values("conv")) + 2 * sum(self._values("conv", joined=True))
                return {"requantizations": (requantized, table.requantization)}
        return {}

    def _word(self, block: str) -> Range:
        return self.memories[block].word(self._table)

    def _layers(self, kind: str) -> Iterator[LayerTable]:
        return (layer for layer in self._program.layers if layer.kind == kind)

    def _macs(self, kind: str) -> int:
        return sum(layer.macs for layer in self._layers(kind))

    def _values(self, kind: str, *, joined: bool = False) -> Iterator[int]:
        """Of the outputs; only those of a convolution with an addition behind it, if ``joined``."""
        for layer in self._layers(kind):
            if not joined or len(layer.operations) > 1:
                height, width, channels = layer.shape
                yield height * width * channels * self._program.images

    def _sums(self) -> Iterator[float]:
        """Words of accumulators that are added to: in each busy cycle one for each group."""
        for layer in self._layers("conv"):
            groups = self._config.modules // layer.split
            yield groups * float(self._busy[Engine.CONV, layer.number])

    def _feature_words(self) -> Iterator[float]:
        """Read by CONV, additions, DEPTHWISE and POOL; written with what comes out, is loaded."""
        config = self._config
        for layer in self._program.layers:
            busy = self._busy[:, layer.number]
            yield layer.split * float(busy[Engine.CONV])
            yield config.depthwise_words * float(busy[Engine.DEPTHWISE])
            yield float(busy[Engine.POOL])
            yield (layer.load_bytes + layer.store_bytes) / config.rows
            height, width, _ = layer.shape
            joined = layer.kind == "conv" and len(layer.operations) > 1
            yield (1 + joined) * height * width * layer.words * self._program.images
