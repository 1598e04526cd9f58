import numpy as np
import pytest

from sim.reference import ReferenceModel
from sw.composed.bilinear import bilinear, bilinear_factor
from sw.errors import DnaError
from sw.graph_builder import GraphBuilder


def rule(x, size, way):
    """LiteRT's, along each axis with 11 bits of a fraction: docs/numerics.md."""

    def places(extent, result):
        i = np.arange(result, dtype=np.float32)
        scale = np.float32(extent / result)
        if way == "aligned":
            scale = np.float32((extent - 1) / (result - 1)) if result > 1 else np.float32(0)
        at = (i + np.float32(0.5)) * scale - np.float32(0.5) if way == "half" else i * scale
        at = np.clip(at, 0, extent - 1)
        low = np.floor(at).astype(int)
        return low, np.minimum(low + 1, extent - 1), np.rint((at - low) * 2048).astype(int)

    (top, bottom, down), (left, right, across) = (
        places(*each) for each in zip(x.shape, size, strict=False)
    )
    values = x.astype(np.int64)

    def row(rows):
        a, b = values[rows][:, left], values[rows][:, right]
        return a * 2048 + (b - a) * across[None, :, None]

    upper, lower = row(top), row(bottom)
    return (upper * 2048 + (lower - upper) * down[:, None, None] + (1 << 21)) >> 22


@pytest.mark.parametrize("way", ["plain", "aligned", "half"])
@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 3, 2), (2, 1, 3), (1, 1, 4)])
@pytest.mark.parametrize("factor", [(2, 2), (4, 1), (1, 2), (4, 2)])
def test_it_is_the_rule(way, shape, factor):
    rng = np.random.default_rng(3)
    x = rng.integers(-128, 128, shape).astype(np.int8)
    sizes = list(np.multiply(shape[:2], factor).tolist())
    if way == "aligned":
        sizes = [(n - 1) * f + 1 for n, f in zip(shape, factor, strict=False)]
    factors = [bilinear_factor(n, size, way) for n, size in zip(shape, sizes, strict=False)]
    builder = GraphBuilder("x", shape, 0.37, -9)
    graph = (
        builder.finish(bilinear(builder, "y", "x", tuple(factors), way)) if max(factors) else None
    )
    got = ReferenceModel(graph).run_all(x)["y"]
    np.testing.assert_array_equal(got, rule(x, sizes, way))


def test_what_is_no_power_of_two_or_too_heavy_is_none():
    assert bilinear_factor(4, 12, "half") is None
    assert bilinear_factor(4, 9, "plain") is None
    assert bilinear_factor(4, 7, "aligned") == 2
    assert bilinear_factor(4, 64, "plain") is None
    assert bilinear_factor(5, 5, "half") == 1
    builder = GraphBuilder("x", (3, 3, 2), 1.0, 0)
    assert bilinear(builder, "y", "x", (2, 2), "half") == "y"


def test_the_weights_fit_or_it_is_refused(monkeypatch):
    monkeypatch.setattr("sw.composed.bilinear._LARGEST", 3)
    builder = GraphBuilder("x", (3, 3, 2), 1.0, 0)
    with pytest.raises(DnaError, match="bilinear resize by"):
        bilinear(builder, "y", "x", (2, 2), "half")
