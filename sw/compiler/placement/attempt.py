"""One attempt to place everything, with a given set of tensors in DRAM."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Set
from typing import TypeGuard

from hw.config import DnaConfig
from hw.isa.accesses import parameter_words
from sw.compiler.candidates import Candidate, Candidates
from sw.compiler.candidates.slabs import Slabs
from sw.compiler.choice import Links
from sw.compiler.layers import Convolution, Depthwise, Layer, MaxPool
from sw.compiler.placement.blocks import Bank, Block, first_fit
from sw.compiler.placement.maps import FeatureMaps
from sw.compiler.placement.plan import Place, Plan


def layer_parameter_words(config: DnaConfig, layer: Depthwise) -> int:
    """Feature words that the weights of a depthwise layer take."""
    window = layer.window
    kernel = (window.kernel_height, window.kernel_width)
    return parameter_words(config, layer.source.words, kernel, layer.split)


class NoRoomError(Exception):
    """One of these tensors must leave the feature memory.

    Attributes:
        tensors: their names.
    """

    def __init__(self, tensors: Set[str]) -> None:
        super().__init__()
        self.tensors = tensors


class Attempt:
    """Places of the feature maps that are not in DRAM, and how each layer runs with them.

    Args:
        candidates: the ways to run every layer.
        links: of the convolutions, by layer number.
        maps: what the layers write.
        in_dram: the tensors that live in DRAM.
        of_all_images: those of which all images have their pixels at a time, where a program
            computes several; of any other map an image may lie where another one's was.
    """

    def __init__(
        self,
        candidates: Candidates,
        links: Mapping[int, Links],
        maps: FeatureMaps,
        in_dram: Set[str],
        of_all_images: Set[str] = frozenset(),
    ) -> None:
        self._candidates = candidates
        self._limit = candidates.platform.config.feature_words
        self._links = links
        self._maps = maps
        self._in_dram = in_dram
        self._of_all_images = of_all_images
        pairs = [
            (layer.source.tensor, layer.target.tensor)
            for layer in candidates.layers
            if isinstance(layer, Depthwise)
        ]
        self._opposite = frozenset(pairs + [(b, a) for a, b in pairs])

    def plans(self, *, roomy: bool) -> list[Plan]:
        """The plan of every layer.

        Args:
            roomy: keep the words of a map free for a layer longer where there is room, so that
                the next one to be written there need not wait for its last reader.

        Raises:
            NoRoomError: something has no room.
        """
        placed = self._placed(roomy)
        places = {
            name: Place(block.base, self._maps.pitches[name])
            for block in placed
            for name in block.names
        }
        parameters = {block.layer: block.base for block in placed if block.layer is not None}
        plans: list[Plan] = []
        for layer in self._candidates.layers:
            beside = self._beside(layer, plans[-1].way) if plans else None
            if beside is not None:
                source, target = layer.source.tensor, layer.target.tensor
                plan = Plan(layer, beside, places[source], places[target])
            else:
                plan = self._plan(layer, placed, places)
            plans.append(dataclasses.replace(plan, parameters=parameters.get(layer.number)))
        return plans

    def _placed(self, roomy: bool) -> list[Block]:
        """The blocks of all maps: by decreasing size, each at the lowest address that is free."""
        placed: list[Block] = []
        for block in sorted(self.blocks(), key=lambda b: (-b.size, b.born, b.names)):
            for apart in (1, 0) if roomy else (0,):
                others = [other for other in placed if other.meets(block, apart)]
                base = self._base(block, placed, others)
                if base is not None:
                    break
            else:
                raise NoRoomError(_names((*others, block)))
            block.base = base
            placed.append(block)
        return placed

    def _base(self, block: Block, placed: list[Block], taken: list[Block]) -> int | None:
        """The lowest free base of a block.

        Where there is room, what a depthwise layer writes begins half the banks away from what it
        reads: both go through pixels in step, and pixels that fill all banks begin in one of them.
        """
        modules = self._candidates.platform.config.modules
        for other in placed:
            if modules > 1 and not self._opposite.isdisjoint(
                (a, b) for a in block.names for b in other.names
            ):
                bank = Bank((other.base + modules // 2) % modules, modules)
                base = first_fit(taken, block.size, self._limit, bank)
                if base is not None:
                    return base
        return first_fit(taken, block.size, self._limit)

    def blocks(self) -> list[Block]:
        """The tensors in feature memory; a sum shares the block of the operand that it replaces.

        The weights of a depthwise layer come while the layer before it runs.
        """
        blocks: dict[str, Block] = {}
        weights = []
        for layer in self._candidates.layers:
            if isinstance(layer, Depthwise):
                number = layer.number
                size = layer_parameter_words(self._candidates.platform.config, layer)
                weights.append(Block([], size, number - 1, number, layer=number))
            name = layer.target.tensor
            if name in self._in_dram:
                continue
            replaced = self._replaced(layer)
            if replaced is not None:
                block = blocks[replaced]
                block.names.append(name)
                block.dies = self._maps.dies[name]
            else:
                born = self._maps.born[name]
                # It may write while the layer before still reads.
                if self._may_run_beside(layer) or self._ends_chain(layer):
                    born -= 1
                block = Block([name], self._maps.words(name), born, self._maps.dies[name])
            blocks[name] = block
        return [*{id(block): block for block in blocks.values()}.values(), *weights]

    def _replaced(self, layer: Layer) -> str | None:
        """The operand of a fused addition whose place the sum can take."""
        if not isinstance(layer, Convolution) or layer.residual is None or layer.repeated:
            return None
        name, target = layer.residual.plane.tensor, layer.target.tensor
        if (
            name in self._in_dram
            or name == layer.source.tensor
            or self._maps.dies[name] != layer.number
            or self._maps.pitches[name] != self._maps.pitches[target]
            or (name in self._of_all_images) != (target in self._of_all_images)
        ):
            return None
        return name

    def _may_run_beside(self, layer: Layer) -> TypeGuard[MaxPool | Depthwise]:
        """Whether a layer may run beside the one before it: it takes what that one makes."""
        if not isinstance(layer, MaxPool | Depthwise) or layer.number == 0:
            return False
        before = self._candidates.layers[layer.number - 1]
        return (
            isinstance(before, Convolution)
            and not (isinstance(layer, MaxPool) and layer.row_by_row)
            and before.target.tensor == layer.source.tensor
            and self._in_dram.isdisjoint(layer.tensors)
        )

    def _ends_chain(self, layer: Layer) -> bool:
        """Whether a layer is the last one of a chain around a depthwise layer."""
        if not isinstance(layer, Convolution) or layer.number == 0:
            return False
        before = self._candidates.layers[layer.number - 1]
        return (
            isinstance(before, Depthwise)
            and before.target.tensor == layer.source.tensor
            and self._may_run_beside(before)
        )

    def _beside(self, layer: Layer, before: Candidate) -> Candidate | None:
        if not self._may_run_beside(layer):
            return None
        return self._candidates.beside(layer, before)

    def _plan(self, layer: Layer, placed: list[Block], places: Mapping[str, Place]) -> Plan:
        """The quickest way to run a layer by itself for whose slabs there is room."""
        alive = [block for block in placed if block.born <= layer.number <= block.dies]
        links = self._links.get(layer.number, Links())
        for way in self._candidates.striped(layer, links, self._in_dram):
            bases = self._slab_bases(way.slabs, layer.number, alive)
            if bases is not None:
                break
        else:
            raise NoRoomError(_names(alive))
        residual = None
        if isinstance(layer, Convolution) and layer.residual is not None:
            residual = places.get(layer.residual.plane.tensor)
        sources, targets = bases
        return Plan(
            layer=layer,
            way=way,
            source=places.get(layer.source.tensor),
            target=places.get(layer.target.tensor),
            residual=residual,
            operands=tuple(places.get(plane.tensor) for plane in layer.gathered),
            source_slabs=tuple(Place(base, way.slabs.source_pitch) for base in sources),
            target_slabs=tuple(Place(base, way.slabs.target_pitch) for base in targets),
        )

    def _slab_bases(
        self, slabs: Slabs, number: int, alive: list[Block]
    ) -> tuple[list[int], list[int]] | None:
        """Bases of the source and target slabs between what is alive, or None."""
        taken = list(alive)
        bases: tuple[list[int], list[int]] = ([], [])
        for kind, size in enumerate((slabs.source, slabs.target)):
            for _ in range(slabs.buffers if size else 0):
                base = first_fit(taken, size, self._limit)
                if base is None:
                    return None
                taken.append(Block([], size, number, number, base))
                bases[kind].append(base)
        return bases


def _names(blocks: Iterable[Block]) -> set[str]:
    return {name for block in blocks for name in block.names}
