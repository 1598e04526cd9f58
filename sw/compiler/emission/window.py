"""The memory window: where weights, program and what lives in DRAM are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

from hw.config import DnaConfig
from sw.compiler.layers import Plane
from sw.compiler.placement import Plan
from sw.errors import DnaError
from sw.graph import Graph
from sw.program import DramTensor, MemoryMap, Region

ALIGNMENT = 4096
WINDOW_LIMIT = 1 << 32


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

    def place_maps(
        self, graph: Graph, plans: Sequence[Plan], copies: Mapping[str, int] = MappingProxyType({})
    ) -> None:
        """Place the network's input, operands, outputs and what has no room, in that order.

        Args:
            graph: of the network.
            plans: of one image.
            copies: of what has no room, for how many images there is a place, if not for one.
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
        start = self._used
        for plan in plans:
            target = plan.layer.target
            if plan.target is None and target.tensor not in graph.outputs:
                self._map(target, copies.get(target.tensor, 1))
        self._spill = Region(start, self._used - start)

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

    def _map(self, plane: Plane, copies: int) -> None:
        """Place maps of whole feature words, each row at a DRAM word."""
        word = self._config.dram_bytes_per_cycle
        row_bytes = plane.row_words * self._config.rows
        pitch = -(-row_bytes // word) * word
        self._tensor(plane, plane.words * self._config.rows, pitch, copies)

    def _tensor(self, plane: Plane, pixel_bytes: int, pitch: int, copies: int) -> None:
        self._copies[plane.tensor] = copies
        self.dram[plane.tensor] = DramTensor(
            plane.tensor,
            copies * plane.height,
            plane.width,
            plane.channels,
            self._region(copies * plane.height * pitch).offset,
            pitch,
            pixel_bytes,
        )
