"""How a layer runs, as it was chosen: all that its instructions need but addresses.

What a choice is estimated to cost stands apart from it, in :mod:`sw.compiler.estimates`.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Stripe:
    """Part of a layer.

    Attributes:
        row, rows: of the output.
        in_row, in_rows: of the source.
        pad_top: minus the source row, counted from ``in_row``, under the first output row's window.
        first_word, words: of a source pixel.
    """

    row: int
    rows: int
    in_row: int
    in_rows: int
    pad_top: int
    first_word: int
    words: int


@dataclasses.dataclass(frozen=True, order=True)
class Links:
    """What the modules of the machine have to do with each other in a convolution.

    Attributes:
        split: log2 of k, the modules that share a reduction.
        neighbours: p, neighbouring output pixels that CONV and POST take as one.
    """

    split: int = 0
    neighbours: int = 1


@dataclasses.dataclass(frozen=True)
class Tiling:
    """The loop nest of one CONV and its POST.

    Attributes:
        links: of the modules.
        passes: rounds of k K-slices.
        channel_tiles, pixel_tiles, tile_pixels, last_pixels: as in the instruction.
    """

    links: Links
    passes: int
    channel_tiles: int
    pixel_tiles: int
    tile_pixels: int
    last_pixels: int

    @property
    def pixels(self) -> int:
        """Of the output, neighbours that are taken as one counted once."""
        return (self.pixel_tiles - 1) * self.tile_pixels + self.last_pixels


@dataclasses.dataclass(frozen=True)
class Choice:
    """One way to run a layer.

    Attributes:
        stripes: in order.
        tilings: of a convolution, one for each stripe.
        buffers: slabs of each kind, for feature maps that live in DRAM: with two, the next stripe
            loads while this one is computed.
        after: for each stripe, the stripe of an earlier layer that it follows in the program; empty
            if the layer follows all of those before it.
        back: how many layers before this one that layer is.
    """

    stripes: tuple[Stripe, ...]
    tilings: tuple[Tiling, ...] = ()
    buffers: int = 1
    after: tuple[int, ...] = ()
    back: int = 1
