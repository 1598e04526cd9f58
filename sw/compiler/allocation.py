"""Where feature maps live: in feature memory by their lifetimes, or in DRAM when there is no room.

Maps are placed by decreasing size, each at the lowest address where nothing that lives at the same
time is (offline first-fit by size, as in Pisarchyk and Lee, "Efficient Memory Management for Deep
Neural Net Inference", 2020). When one does not fit, the largest map in its way goes to DRAM, and
placing starts again; layers that read or write DRAM then get slabs in what is left. Where there is
room, maps also keep away from those that the layer before or after still needs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Set
from typing import TypeGuard

from sw.compiler.lowering import Convolution, Layer, MaxPool, Plane
from sw.compiler.machine import Machine
from sw.compiler.striping import Schedule, extent, follow, pitch, schedules, smallest, tensors
from sw.compiler.tiling import needs_pitch, pitch_residue
from sw.errors import DnaError


@dataclasses.dataclass(frozen=True)
class Place:
    """Pixel (y, x) of a feature map is at word ``base + y * pitch + x * words``."""

    base: int
    pitch: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """How one layer runs.

    Attributes:
        layer: which.
        split: of a convolution.
        schedule: its stripes.
        source, target, residual: places of the whole maps; None if they live in DRAM.
        source_slabs, target_slabs: places of what passes through, in turn.
        after: for each stripe, the stripe of the layer before after which it runs; empty if it
            runs when that layer is over.
    """

    layer: Layer
    split: int
    schedule: Schedule
    source: Place | None
    target: Place | None
    residual: Place | None
    source_slabs: list[Place]
    target_slabs: list[Place]
    after: list[int]


@dataclasses.dataclass
class _Block:
    """Feature words that are taken from the start of one layer to the end of another."""

    names: list[str]
    size: int
    born: int
    dies: int
    base: int = 0

    def meets(self, other: _Block, apart: int = 0) -> bool:
        """Whether both are taken in one layer, or in two that are ``apart`` or less."""
        return self.born <= other.dies + apart and other.born <= self.dies + apart

    @property
    def end(self) -> int:
        return self.base + self.size


def plan(
    machine: Machine, layers: list[Layer], splits: Mapping[int, int], in_dram: Iterable[str]
) -> list[Plan]:
    """Plan every layer.

    Args:
        splits: of the convolutions, by layer number.
        in_dram: what lives in DRAM whatever happens: the network's input and output.

    Raises:
        DnaError: a layer does not fit even if everything else is in DRAM.
    """
    _check_size(machine, layers, splits)
    allocation = _Allocation(machine, layers, splits, set(in_dram))
    while True:
        try:
            tight = allocation.attempt(roomy=False)
        except _NoRoomError as error:
            allocation.in_dram.add(allocation.largest(error.candidates))
            continue
        try:
            roomy = allocation.attempt(roomy=True)
        except _NoRoomError:  # no slabs between maps that lie so loosely
            return tight
        return min(roomy, tight, key=lambda plans: sum(plan.schedule.cycles for plan in plans))


def _check_size(machine: Machine, layers: list[Layer], splits: Mapping[int, int]) -> None:
    config = machine.config
    needs = [smallest(machine, layer, splits.get(layer.number, 0)) for layer in layers]
    most = max(needs)
    if most > config.feature_words:
        name = layers[needs.index(most)].name
        raise DnaError(
            f"{name} needs {most} feature words for one output row; configuration {config.name} "
            f"has {config.feature_words}: needs feature_words of at least "
            f"{1 << (most - 1).bit_length()}"
        )


class _NoRoomError(Exception):
    """Some of these tensors must leave the feature memory."""

    def __init__(self, candidates: Set[str]) -> None:
        super().__init__()
        self.candidates = candidates


class _Allocation:
    def __init__(
        self,
        machine: Machine,
        layers: list[Layer],
        splits: Mapping[int, int],
        in_dram: set[str],
    ) -> None:
        self.machine = machine
        config = machine.config
        self.layers = layers
        self.splits = splits
        self.in_dram = in_dram
        self.planes: dict[str, Plane] = {layer.target.tensor: layer.target for layer in layers}
        self.born = {layer.target.tensor: layer.number for layer in layers}
        self.dies = dict(self.born)
        residues: dict[str, int] = {}
        for layer in layers:
            for name in tensors(layer) & self.dies.keys():
                self.dies[name] = layer.number
            if isinstance(layer, Convolution) and needs_pitch(layer, splits[layer.number]):
                residues[layer.source.tensor] = pitch_residue(config, layer)
        self.pitches = {
            name: pitch(config, plane, residues.get(name)) for name, plane in self.planes.items()
        }

    def words(self, name: str) -> int:
        """Feature words of a whole tensor."""
        plane = self.planes[name]
        return extent(plane.height, plane.row_words, self.pitches[name])

    def largest(self, names: Set[str]) -> str:
        """The tensor that frees the most words, and of equals for the longest time."""
        return max(names, key=lambda n: (self.words(n), self.dies[n] - self.born[n], n))

    def attempt(self, *, roomy: bool) -> list[Plan]:
        """Plan with the present ``in_dram``.

        Args:
            roomy: keep the words of a map free for a layer longer where there is room, so that
                the next one to be written there need not wait for its last reader.
        """
        blocks = self._blocks()
        placed: list[_Block] = []
        for block in sorted(blocks, key=lambda b: (-b.size, b.born, b.names)):
            for apart in (1, 0) if roomy else (0,):
                others = [other for other in placed if other.meets(block, apart)]
                base = _first_fit(others, block.size, self.machine.config.feature_words)
                if base is not None:
                    break
            else:
                raise _NoRoomError({name for b in (*others, block) for name in b.names})
            block.base = base
            placed.append(block)
        places = {
            name: Place(block.base, self.pitches[name]) for block in placed for name in block.names
        }
        plans: list[Plan] = []
        for layer in self.layers:
            plans.append(self._following(layer, plans, places) or self._plan(layer, placed, places))
        return plans

    def _follows(self, layer: Layer) -> TypeGuard[MaxPool]:
        """Whether a layer may run beside the one before it: it takes what that one makes."""
        if not isinstance(layer, MaxPool) or layer.number == 0:
            return False
        before = self.layers[layer.number - 1]
        return (
            isinstance(before, Convolution)
            and not layer.row_by_row
            and before.target.tensor == layer.source.tensor
            and self.in_dram.isdisjoint(tensors(layer))
        )

    def _following(self, layer: Layer, plans: list[Plan], places: dict[str, Place]) -> Plan | None:
        if not self._follows(layer):
            return None
        following = follow(self.machine.config, layer, plans[-1].schedule)
        if following is None:
            return None
        return Plan(
            layer=layer,
            split=0,
            schedule=following[0],
            source=places[layer.source.tensor],
            target=places[layer.target.tensor],
            residual=None,
            source_slabs=[],
            target_slabs=[],
            after=following[1],
        )

    def _blocks(self) -> list[_Block]:
        """The tensors in feature memory; a sum shares the block of the operand that it replaces."""
        blocks: dict[str, _Block] = {}
        for layer in self.layers:
            name = layer.target.tensor
            if name in self.in_dram:
                continue
            replaced = self._replaced(layer)
            if replaced is not None:
                block = blocks[replaced]
                block.names.append(name)
                block.dies = self.dies[name]
            else:
                born = self.born[name] - 1 if self._follows(layer) else self.born[name]
                block = _Block([name], self.words(name), born, self.dies[name])
            blocks[name] = block
        return list({id(block): block for block in blocks.values()}.values())

    def _replaced(self, layer: Layer) -> str | None:
        """The operand of a fused addition whose place the sum can take."""
        if not isinstance(layer, Convolution) or layer.residual is None:
            return None
        name, target = layer.residual.plane.tensor, layer.target.tensor
        if (
            name in self.in_dram
            or name == layer.source.tensor
            or self.dies[name] != layer.number
            or self.pitches[name] != self.pitches[target]
        ):
            return None
        return name

    def _plan(self, layer: Layer, placed: list[_Block], places: dict[str, Place]) -> Plan:
        alive = [block for block in placed if block.born <= layer.number <= block.dies]
        split = self.splits.get(layer.number, 0)
        for schedule in schedules(self.machine, layer, split, self.in_dram):
            slabs = self._slabs(schedule, layer.number, alive)
            if slabs is not None:
                break
        else:
            raise _NoRoomError({name for block in alive for name in block.names})
        residual = None
        if isinstance(layer, Convolution) and layer.residual is not None:
            residual = places.get(layer.residual.plane.tensor)
        return Plan(
            layer=layer,
            split=split,
            schedule=schedule,
            source=places.get(layer.source.tensor),
            target=places.get(layer.target.tensor),
            residual=residual,
            source_slabs=[Place(base, schedule.source_pitch) for base in slabs[0]],
            target_slabs=[Place(base, schedule.target_pitch) for base in slabs[1]],
            after=[],
        )

    def _slabs(
        self, schedule: Schedule, number: int, alive: list[_Block]
    ) -> tuple[list[int], list[int]] | None:
        """Bases of the source and target slabs between what is alive, or None."""
        taken = list(alive)
        bases: tuple[list[int], list[int]] = ([], [])
        for kind, size in enumerate((schedule.source_slab, schedule.target_slab)):
            for _ in range(schedule.buffers if size else 0):
                base = _first_fit(taken, size, self.machine.config.feature_words)
                if base is None:
                    return None
                taken.append(_Block([], size, number, number, base))
                bases[kind].append(base)
        return bases


def _first_fit(taken: list[_Block], size: int, limit: int) -> int | None:
    """The lowest base of ``size`` free words below ``limit``."""
    base = 0
    for block in sorted(taken, key=lambda b: b.base):
        if base + size <= block.base:
            break
        base = max(base, block.end)
    return base if base + size <= limit else None
