"""The feature maps of a network: how many words each takes, and from when to when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from hw.config import DnaConfig
from sw.compiler.candidates.slabs import extent, needs_pitch, pitch, pitch_residue
from sw.compiler.choice import Links
from sw.compiler.layers import Convolution, Layer


class FeatureMaps:
    """What the layers of a network write, by the names of the tensors.

    Args:
        config: of the machine.
        layers: all of them.
        links: of the convolutions, by layer number.

    Attributes:
        born: the layer that writes it.
        dies: the last layer that needs it.
        pitches: words from one row to the next, in feature memory.
    """

    def __init__(
        self, config: DnaConfig, layers: Sequence[Layer], links: Mapping[int, Links]
    ) -> None:
        self._planes = {layer.target.tensor: layer.target for layer in layers}
        self.born = {layer.target.tensor: layer.number for layer in layers}
        self.dies = dict(self.born)
        residues: dict[str, int] = {}
        for layer in layers:
            for name in layer.tensors & self.dies.keys():
                self.dies[name] = layer.number
            if isinstance(layer, Convolution) and needs_pitch(layer, links[layer.number]):
                residues[layer.source.tensor] = pitch_residue(config, layer)
        self.pitches = {
            name: pitch(config, plane, residues.get(name)) for name, plane in self._planes.items()
        }

    def words(self, name: str) -> int:
        """Feature words of a whole tensor."""
        plane = self._planes[name]
        return extent(plane.height, plane.row_words, self.pitches[name])

    def largest(self, names: Set[str]) -> str:
        """The tensor that frees the most words, and of equals for the longest time."""
        return max(names, key=lambda n: (self.words(n), self.dies[n] - self.born[n], n))
