"""What the compiler makes: a program, its weights, and a description of both for people and tests.

The machine needs only the bytes. The tables say where everything is, so that a host can place the
image and read the logits, and a test can compare every tensor in the feature memory.
"""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from hw.config import DnaConfig
from sw.errors import DnaError

Int8 = npt.NDArray[np.int8]


class Region(msgspec.Struct, frozen=True):
    """Bytes of the memory window: ``length`` from ``offset`` on."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.offset + self.length


class DramTensor(msgspec.Struct, frozen=True):
    """A feature map in DRAM: pixel (y, x) is at ``offset + y * pitch + x * pixel_bytes``.

    The network's input has exactly its channels in a pixel, and rows without gaps; what the machine
    writes has whole feature words. Channels past the end hold anything.
    """

    tensor: str
    height: int
    width: int
    channels: int
    offset: int
    pitch: int
    pixel_bytes: int

    @property
    def region(self) -> Region:
        """All of its bytes."""
        return Region(self.offset, self.height * self.pitch)

    def read(self, dram: npt.NDArray[np.uint8]) -> Int8:
        """The values, int8 [height, width, channels].

        Args:
            dram: uint8, the memory window from its first byte on.
        """
        return self.values(dram[self.offset : self.region.end])

    def values(self, content: npt.NDArray[np.uint8]) -> Int8:
        """The values of ``content``, the bytes of the region alone; int8 as :meth:`read`."""
        rows = content.reshape(self.height, self.pitch)
        pixels = rows[:, : self.width * self.pixel_bytes].reshape(self.height, self.width, -1)
        return np.ascontiguousarray(pixels[:, :, : self.channels]).view(np.int8)

    def content(self, values: Int8) -> npt.NDArray[np.uint8]:
        """The bytes of the region, uint8 [``region.length``], when it holds ``values``.

        Args:
            values: int8, as many as height x width x channels, in this order.

        Raises:
            DnaError: they are of another type or number.
        """
        shape = (self.height, self.width, self.channels)
        if values.dtype != np.int8 or values.size != np.prod(shape):
            raise DnaError(
                f"{self.tensor} takes int8 {list(shape)}, not {values.dtype} {list(values.shape)}"
            )
        pixels = np.zeros((self.height, self.width, self.pixel_bytes), np.uint8)
        pixels[:, :, : self.channels] = values.reshape(shape).view(np.uint8)
        rows = np.zeros((self.height, self.pitch), np.uint8)
        rows[:, : self.width * self.pixel_bytes] = pixels.reshape(self.height, -1)
        return rows.reshape(-1)


class MemoryMap(msgspec.Struct, frozen=True):
    """Where things are in the memory window; all offsets are multiples of 4096.

    Attributes:
        program, weights: what the host loads once.
        input: what the host writes before a run: the image, int8, as it comes.
        output: what the host reads after a run; of several maps the first.
        spill: feature maps that have no room in the feature memory.
        writable: the only bytes that the machine writes: ``outputs`` and ``spill``.
        size: bytes of the whole window.
        operands: what the host writes besides, if the program computes only part of a network.
        others: what the host reads besides.
    """

    program: Region
    weights: Region
    input: DramTensor
    output: DramTensor
    spill: Region
    writable: Region
    size: int
    operands: tuple[DramTensor, ...] = ()
    others: tuple[DramTensor, ...] = ()

    @property
    def outputs(self) -> tuple[DramTensor, ...]:
        """All that the host reads after a run."""
        return (self.output, *self.others)


class StripePlace(msgspec.Struct, frozen=True):
    """Where some rows of a layer's output are in feature memory right after they were computed.

    Pixel (``row`` + y, x) starts at word ``base + y * pitch + x * words``.
    """

    row: int
    rows: int
    base: int
    pitch: int


class LayerTable(msgspec.Struct, frozen=True, kw_only=True):
    """One layer of the program: what it computes, how, and where its output is.

    Attributes:
        number: as in the ``layer`` field of its instructions.
        operations: names in the graph. A convolution and the addition behind it are one layer;
            only the sum is in memory.
        kind: ``conv``, ``depthwise``, ``max_pool``, ``average_pool``, ``mean`` or ``copy``.
        output: name of the tensor in memory.
        shape: its height, width, channels.
        words: feature words of an output pixel.
        stripes: places of the output, one for every POST, DEPTHWISE or MAX_POOL instruction,
            or for every few
            of a copy, which write parts of it; of a mean one in all, of an average-pool, which has
            a MEAN for every pixel, one for
            every stripe.
        dram: where the output is kept if not in feature memory.
        split: k, modules that share a reduction; 0 if it is no convolution.
        neighbours: p, pixels that are computed as one; 0 if it is no convolution.
        channel_tiles, pixel_tiles, tile_pixels: the loop nest (of the first stripe).
        macs: multiply-accumulates, padding counted.
        weight_bytes, load_bytes, store_bytes: DRAM traffic.
        estimated_cycles: a forecast that knows no stalls by chance.
        bound: the engine that the forecast says is the limit: conv, weights, post, depthwise, pool,
            load or store.
    """

    number: int
    operations: list[str]
    kind: str
    output: str
    shape: tuple[int, int, int]
    words: int
    stripes: list[StripePlace]
    dram: DramTensor | None
    split: int
    neighbours: int
    channel_tiles: int
    pixel_tiles: int
    tile_pixels: int
    macs: int
    weight_bytes: int
    load_bytes: int
    store_bytes: int
    estimated_cycles: int
    bound: str

    @property
    def name(self) -> str:
        """The operations, joined."""
        return "+".join(self.operations)


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A network compiled for one machine.

    Attributes:
        config: the machine.
        code: the program, for ``memory.program``.
        weights: the weight streams, for ``memory.weights``.
        memory: the memory window.
        layers: in the order of execution.
        bandwidth: of the memory that the schedule is made for, as a part of the DRAM port's.
        images: that a run computes. All maps, in memory as in the tables, are those of the images
            one below the other, and figures of a layer are those of all images.
    """

    config: DnaConfig
    code: bytes
    weights: bytes
    memory: MemoryMap
    layers: list[LayerTable]
    bandwidth: float = 1.0
    images: int = 1

    def image(self, pixels: Int8) -> npt.NDArray[np.uint8]:
        """The memory window before a run, uint8 [``memory.size``].

        Args:
            pixels: int8, the network's input, of as many images as there are.
        """
        dram = np.zeros(self.memory.size, np.uint8)
        for offset, content in (
            (self.memory.program.offset, self.code),
            (self.memory.weights.offset, self.weights),
            (self.memory.input.offset, np.ascontiguousarray(pixels, np.int8).tobytes()),
        ):
            dram[offset : offset + len(content)] = np.frombuffer(content, np.uint8)
        return dram
