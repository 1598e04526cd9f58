"""Random work for a convolution module or path, and what must come out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hw.config import DnaConfig
from tests.hw.support.requantization import Case, f32_bits, requantize

Array = npt.NDArray[np.int64]


@dataclass
class Tile:
    """``activations`` int8 [passes, pixels, rows] and ``weights`` int8 [passes, rows, columns]."""

    activations: Array
    weights: Array

    @classmethod
    def random(
        cls, rng: np.random.Generator, *, passes: int, pixels: int, rows: int, columns: int
    ) -> Tile:
        def int8(*shape: int) -> Array:
            values = rng.integers(-128, 128, shape)
            # Sums grow largest where -128 meets -128.
            return np.where(rng.random(shape) < 0.2, -128, values)

        return cls(int8(passes, pixels, rows), int8(passes, rows, columns))

    @property
    def weight_words(self) -> list[list[int]]:
        """The stream of weights: a row a word."""
        return [row.tolist() for matrix in self.weights for row in matrix]

    @property
    def activation_words(self) -> list[dict[str, object]]:
        """The stream of activations: a pixel a word, with its flags."""
        passes, pixels, _ = self.activations.shape
        return [
            {
                "data": self.activations[k, n].tolist(),
                "first": int(k == 0),
                "last": int(n == pixels - 1),
                "final": int(k == passes - 1),
            }
            for k in range(passes)
            for n in range(pixels)
        ]

    @property
    def sum_words(self) -> list[dict[str, object]]:
        """What the convolution module makes of it."""
        sums = (self.activations @ self.weights).reshape(-1, self.weights.shape[-1])
        return [
            {**word, "data": row.tolist()}
            for word, row in zip(self.activation_words, sums, strict=True)
        ]

    @property
    def accumulated(self) -> Array:
        """int64 [pixels, columns]: the sum over the passes."""
        return np.asarray((self.activations @ self.weights).sum(axis=0))


def layer(
    rng: np.random.Generator,
    shapes: Sequence[tuple[int, int]],
    config: DnaConfig,
    lanes: int,
    output: tuple[int, int, int],
) -> tuple[dict[str, list[object]], list[list[int]]]:
    """Random tiles of (passes, pixels) with parameters that spread the results over int8.

    Returns:
        The words to send to a convolution path, and the words that it must give.
    """
    weights: list[object] = []
    activations: list[object] = []
    parameters: list[object] = []
    values: list[int] = []
    for passes, pixels in shapes:
        tile = Tile.random(
            rng, passes=passes, pixels=pixels, rows=config.rows, columns=config.columns
        )
        weights += tile.weight_words
        activations += tile.activation_words
        bias = rng.integers(-(2**16), 2**16, config.columns).tolist()
        spread = float(np.abs(tile.accumulated + bias).max()) + 1
        scale = [f32_bits(s) for s in rng.uniform(20, 150, config.columns) / spread]
        parameters += [{"bias": b, "scale": s} for b, s in zip(bias, scale, strict=True)]
        values += [
            requantize(Case(int(acc), bias[c], scale[c]), *output)
            for pixel in tile.accumulated
            for c, acc in enumerate(pixel)
        ]
    assert len(set(values)) > 1, "constant results show nothing"
    send = {"weights": weights, "activations": activations, "parameters": parameters}
    return send, [values[start : start + lanes] for start in range(0, len(values), lanes)]
