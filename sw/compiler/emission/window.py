"""The memory window: where weights, program and what lives in DRAM are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

from hw.config import DnaConfig
from sw.compiler.emission.lifetimes import Places
from sw.compiler.layers import Plane
from sw.compiler.placement import Plan
from sw.errors import DnaError
from sw.graph import Graph
from sw.program import DramTensor, MemoryMap, Region

ALIGNMENT = 4096
WINDOW_LIMIT = 1 << 32
ALWAYS = range(1 << 62)
"""The life of a map that nobody says anything of."""


class MemoryWindow:
    """Hands out the memory window, region by region, in the order of its methods.

    Args:
        config: of the machine.
        weights: bytes of the weight streams, which come first.
        images: that the program computes.

    Attributes:
        weights: where they are.
        dram: the feature maps that live in DRAM, by name: those of several images one below the
            other.
    """

    def __init__(self, config: DnaConfig, weights: int, images: int = 1) -> None:
        self._config = config
        self._images = images
        self._alignment = max(ALIGNMENT, config.dram_bytes_per_cycle)
        self._used = 0
        self.weights = self._region(weights)
        self.dram: dict[str, DramTensor] = {}
        self._copies: dict[str, int] = {}
        self._spill = Region(0, 0)

    @property
    def spilled(self) -> dict[str, DramTensor]:
        """Those of the feature maps that the feature memory has no room for."""
        start, end = self._spill.offset, self._spill.end
        return {name: each for name, each in self.dram.items() if start <= each.offset < end}

    def place_maps(
        self,
        graph: Graph,
        plans: Sequence[Plan],
        copies: Mapping[str, int] = MappingProxyType({}),
        lives: Mapping[str, range] = MappingProxyType({}),
    ) -> None:
        """Place the network's input, operands, outputs and what has no room, in that order.

        Args:
            graph: of the network.
            plans: of one image.
            copies: of what has no room, for how many images there is a place, if not for one.
            lives: of what has no room, in what steps it is needed; a map whose life is not known
                shares its place with none.
        """
        source = graph.tensors[graph.input]
        height, width, channels = source.shape if len(source.shape) == 3 else (1, 1, *source.shape)
        image = Plane(source.name, height, width, channels, 0)
        self._tensor(image, channels, width * channels, self._images)
        for plan in plans:
            for plane in plan.layer.operands:
                if plane.tensor in graph.sources and plane.tensor not in self.dram:
                    self._map(plane, self._images)
        targets = {plan.layer.target.tensor: plan.layer.target for plan in plans}
        for name in graph.outputs:
            self._map(targets[name], self._images)
        start, places = self._used, Places(self._alignment)
        spilled = [
            plan.layer.target
            for plan in plans
            if plan.target is None and plan.layer.target.tensor not in graph.outputs
        ]
        for target in spilled:
            count = copies.get(target.tensor, 1)
            life = lives.get(target.tensor, ALWAYS)
            offset = places.take(count * target.height * self._pitch(target), life)
            self._map(target, count, start + offset)
        self._spill = self._region(places.length)

    def of_image(self, image: int) -> dict[str, DramTensor]:
        """The feature maps of one image that live in DRAM, by name."""
        maps = {}
        for name, stacked in self.dram.items():
            copies = self._copies[name]
            height = stacked.height // copies
            offset = stacked.offset + image % copies * height * stacked.pitch
            maps[name] = msgspec.structs.replace(stacked, height=height, offset=offset)
        return maps

    def memory_map(self, graph: Graph, program: int) -> MemoryMap:
        """All of the window.

        Args:
            program: its bytes; it comes last.

        Raises:
            DnaError: the window is larger than the machine addresses.
        """
        output, *others = (self.dram[name] for name in graph.outputs)
        memory = MemoryMap(
            program=self._region(program),
            weights=self.weights,
            input=self.dram[graph.input],
            output=output,
            spill=self._spill,
            writable=Region(output.offset, self._spill.end - output.offset),
            size=self._used,
            operands=tuple(self.dram[name] for name in graph.sources if name != graph.input),
            others=tuple(others),
        )
        if memory.size > WINDOW_LIMIT:
            raise DnaError(
                f"the network needs a memory window of {memory.size} bytes; "
                f"the machine addresses {WINDOW_LIMIT}"
            )
        return memory

    def _region(self, length: int) -> Region:
        region = Region(self._used, length)
        self._used += -(-length // self._alignment) * self._alignment
        return region

    def _pitch(self, plane: Plane) -> int:
        """Bytes of a row of whole feature words, the next of which begins at a DRAM word."""
        word = self._config.dram_bytes_per_cycle
        return -(-plane.row_words * self._config.rows // word) * word

    def _map(self, plane: Plane, copies: int, offset: int | None = None) -> None:
        """Place maps of whole feature words, each row at a DRAM word."""
        pixel_bytes = plane.words * self._config.rows
        self._tensor(plane, pixel_bytes, self._pitch(plane), copies, offset)

    def _tensor(
        self, plane: Plane, pixel_bytes: int, pitch: int, copies: int, offset: int | None = None
    ) -> None:
        """Place maps at ``offset``, or in a region of their own."""
        self._copies[plane.tensor] = copies
        if offset is None:
            offset = self._region(copies * plane.height * pitch).offset
        self.dram[plane.tensor] = DramTensor(
            plane.tensor,
            copies * plane.height,
            plane.width,
            plane.channels,
            offset,
            pitch,
            pixel_bytes,
        )
