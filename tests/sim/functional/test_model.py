"""LiteRT and our kernels against the reference: random networks and operators at their worst."""

import platform

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import native
from sim.functional import FunctionalModel, flatbuffer, isa, kernels
from sim.functional.fusions import fusions, with_tables
from sim.functional.isa import ISAS, Isa
from sim.functional.kernels import Kernels
from sim.functional.litert import LiteRT
from sim.reference import ReferenceModel
from sw.errors import DnaError
from sw.graph import Graph
from sw.graph_builder import GraphBuilder, Output, Weights, Window
from sw.operations import Lookup, Multiply, Padding, Tensor
from tests import skips
from tests.support.graphs import gated_graph, random_image, random_small_graph

needs_kernels = pytest.mark.skipif(not isa.available(), reason=skips.KERNELS)


def needs(each: Isa) -> pytest.MarkDecorator:
    return pytest.mark.skipif(each not in isa.available(), reason=skips.KERNELS)


NATIVE = [each for each in ISAS if (each.lanes == 4) == (platform.machine() == "aarch64")]
EVERY_ISA = [pytest.param(each, id=each.name, marks=needs(each)) for each in NATIVE]
ENGINES = [
    pytest.param(lambda graph: LiteRT(flatbuffer.emit(graph, every_tensor=True)), id="litert"),
    *(
        pytest.param(
            lambda graph, isa=each: Kernels(graph, isa, every_tensor=True),
            id=each.name,
            marks=needs(each),
        )
        for each in NATIVE
    ),
]
EXTREMES = np.array([-128, -127, -1, 0, 1, 126, 127], np.int8)
few = settings(max_examples=40, deadline=None)


def agree(engine, graph: Graph, *images: np.ndarray) -> None:
    """Every tensor of every image equals the reference."""
    run, reference = engine(graph).run, ReferenceModel(graph)
    for image in images:
        expected = reference.run_all(image)
        for operation, got in zip(graph.operations, run(image), strict=True):
            differing = np.flatnonzero(got != expected[operation.output])
            assert got.shape == expected[operation.output].shape
            assert differing.size == 0, (operation.name, differing[:5])


def extremes(rng, shape):
    return rng.choice(EXTREMES, shape)


def one_ulp_apart(rng, count, around):
    """``count`` scales, neighbours in float32."""
    steps = rng.integers(-3, 4, count)
    bits = np.full(count, around, np.float32).view(np.int32) + steps.astype(np.int32)
    return bits.view(np.float32)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", range(4))
def test_small_networks(engine, seed):
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(5, 24)), int(rng.integers(5, 24)), int(rng.integers(1, 6)))
    graph = random_small_graph(rng, shape, classes=int(rng.integers(1, 40)))
    images = [random_image(rng, graph), extremes(rng, shape), np.full(shape, -128, np.int8)]
    agree(engine, graph, *images)


@pytest.mark.parametrize("engine", ENGINES)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(st.integers(1, 17), st.integers(1, 17)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    sides=st.tuples(*[st.integers(0, 3)] * 4),
    channels=st.tuples(st.integers(1, 9), st.integers(1, 70)),
    zero_points=st.tuples(*[st.sampled_from([-128, -127, -3, 0, 1, 126, 127])] * 2),
    activation=st.sampled_from(["none", "relu", "relu6"]),
    spread=st.floats(2**-3, 2**5, width=32),
)
@few
def test_convolution(
    engine, seed, size, kernel, stride, sides, channels, zero_points, activation, spread
):
    rng = np.random.default_rng(seed)
    padding = Padding(*(min(side, kernel[i // 2] - 1) for i, side in enumerate(sides)))
    size = [max(size[0], kernel[0]), max(size[1], kernel[1])]
    shape = (*size, channels[0])
    weights = extremes(rng, (channels[1], *kernel, channels[0]))
    fan_in = kernel[0] * kernel[1] * channels[0]
    builder = GraphBuilder("x", shape, 0.03125, zero_points[0])
    builder.conv2d(
        "y",
        "x",
        Weights(
            weights,
            rng.integers(-(2**15), 2**15, channels[1], dtype=np.int32),
            one_ulp_apart(rng, channels[1], 0.01),
        ),
        Output(0.01 * 0.03125 * 127 * fan_in * spread, zero_points[1], activation),
        Window(kernel, stride, padding),
    )
    agree(engine, builder.finish("y"), extremes(rng, shape), random_image(rng, builder.finish("y")))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("magnitude", [2**23, 2**24, 2**25, 2**28, 2**30, 2**31 - 1])
def test_ties_and_accumulators_beyond_24_bits(engine, magnitude):
    """Scales that are powers of two put many accumulators exactly on a tie."""
    rng = np.random.default_rng(magnitude)
    channels = 256
    builder = GraphBuilder("x", (2, 2, 8), 2.0**-6, -128)
    ratio = 2.0 ** -np.ceil(np.log2(magnitude)) * 64
    builder.conv2d(
        "y",
        "x",
        Weights(
            extremes(rng, (channels, 1, 1, 8)),
            rng.integers(-magnitude, magnitude, channels).astype(np.int32),
            one_ulp_apart(rng, channels, ratio),
        ),
        Output(2.0**-6, 3),
    )
    builder.fully_connected(
        "z",
        "y",
        Weights(
            extremes(rng, (channels, 4 * channels)),
            (rng.integers(-magnitude, magnitude, channels) | 1).astype(np.int32),
            np.full(channels, ratio, np.float32),
        ),
        Output(2.0**-6, -2),
    )
    graph = builder.finish("z")
    agree(engine, graph, *(extremes(rng, (2, 2, 8)) for _ in range(3)))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("beyond", [0, 1])
@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("zero_point", [-128, 5])
@pytest.mark.parametrize("weight", [0, 1])
def test_rectified_sums_up_to_the_last_small_one(engine, beyond, depthwise, zero_point, weight):
    """Biases from -2^30 to where the largest activation makes a sum 2^23 - 1, or 2^23."""
    rng = np.random.default_rng(3)
    channels = 192
    last = 2**23 - 1 - 255 + beyond
    parts = last - np.arange(48), np.linspace(-(2**30), last, 96), np.arange(-48, 0)
    bias = np.concatenate(parts).astype(np.int32)
    ratio = one_ulp_apart(rng, channels, 1) * 2.0 ** rng.integers(-17, -15, channels)
    ratio[-24:] = one_ulp_apart(rng, 24, 200)
    shape = (3, 3, channels if depthwise else 1)
    builder = GraphBuilder("x", shape, 1.0, -128)
    add = builder.depthwise_conv2d if depthwise else builder.conv2d
    form = (channels, 1, 1) if depthwise else (channels, 1, 1, 1)
    weights = Weights(np.full(form, weight, np.int8), bias, ratio.astype(np.float32))
    add("y", "x", weights, Output(1.0, zero_point, "relu"))
    agree(engine, builder.finish("y"), extremes(rng, shape), np.full(shape, 127, np.int8))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("output", [Output(1.0, 1), Output(1.0, -128, "relu")])
def test_every_tie(engine, output):
    """The accumulator is a channel's bias: odd halves from -600 to 600, and their neighbours."""
    bias = np.arange(-1200, 1200, dtype=np.int32)
    builder = GraphBuilder("x", (1, 1, 1), 1.0, 0)
    builder.conv2d(
        "y",
        "x",
        Weights(
            np.ones((len(bias), 1, 1, 1), np.int8),
            bias,
            np.where(bias % 3 == 0, 0.5, np.nextafter(np.float32(0.5), 1)).astype("f4"),
        ),
        output,
    )
    agree(engine, builder.finish("y"), np.zeros((1, 1, 1), np.int8), np.ones((1, 1, 1), np.int8))


@pytest.mark.parametrize("engine", ENGINES)
def test_scales_up_to_256_saturate(engine):
    rng = np.random.default_rng(5)
    builder = GraphBuilder("x", (3, 3, 4), 1.0, 0)
    builder.conv2d(
        "y",
        "x",
        Weights(
            extremes(rng, (64, 1, 1, 4)),
            rng.choice(np.array([-(2**31), 2**31 - 1, 0, 1, -1], np.int32), 64),
            np.linspace(1, 255.99, 64, dtype=np.float32),
        ),
        Output(1.0, 0),
    )
    agree(engine, builder.finish("y"), extremes(rng, (3, 3, 4)), np.zeros((3, 3, 4), np.int8))


def addition(scales, zero_points, activation="none"):
    """Both inputs take every value: a ramp along height, and one along width."""
    builder = GraphBuilder("x", (256, 256, 2), 1.0, 0)
    for i, name in enumerate("ab"):
        weights = np.zeros((1, 1, 1, 2), np.int8)
        weights[..., i] = 1
        builder.conv2d(
            name,
            "x",
            Weights(weights, np.zeros(1, np.int32), np.array([scales[i]], np.float32)),
            Output(scales[i], zero_points[i]),
        )
    builder.add("y", "a", "b", Output(1.0, zero_points[2], activation))
    ramp = np.arange(-128, 128, dtype=np.int8)
    return builder.finish("y"), np.stack(np.meshgrid(ramp, ramp), axis=2)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("scales", "zero_points", "activation"),
    [
        ((0.5, 0.5), (0, 0, 0), "none"),  # every second sum is a tie
        ((0.75, 0.25), (1, -1, 5), "relu"),
        ((2.0**-10, 255.0), (-128, 127, 0), "none"),
        ((2.0**-10, 2.0**-10), (127, 127, -128), "none"),
        ((0.9999999, 1.0), (-128, -128, -128), "relu"),
        ((1.9999999, 0.001), (3, 4, 127), "none"),
        ((0.0371, 0.0529), (-5, 9, -128), "relu6"),
    ],
)
def test_addition_of_all_pairs(engine, scales, zero_points, activation):
    graph, image = addition(scales, zero_points, activation)
    agree(engine, graph, image)


@pytest.mark.parametrize("engine", ENGINES)
@given(
    seed=st.integers(0, 2**32 - 1),
    scales=st.tuples(*[st.floats(2**-10, 2**7, width=32)] * 2),
    zero_points=st.tuples(*[st.integers(-128, 127)] * 2),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
@few
def test_mean(engine, seed, scales, zero_points, size):
    rng = np.random.default_rng(seed)
    shape = (*size, 40)
    builder = GraphBuilder("x", shape, scales[0], zero_points[0])
    builder.mean("y", "x", Output(scales[1], zero_points[1]))
    graph = builder.finish("y")
    agree(engine, graph, extremes(rng, shape), random_image(rng, graph))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("padding", [Padding(), Padding(1, 1, 1, 1), Padding(0, 1, 0, 1)])
@pytest.mark.parametrize("size", [8, 9])
def test_max_pool(engine, padding, size):
    rng = np.random.default_rng(size)
    builder = GraphBuilder("x", (size, size, 5), 1.0, -128)
    builder.max_pool2d("y", "x", Window((3, 3), (2, 2), padding))
    agree(engine, builder.finish("y"), extremes(rng, (size, size, 5)))


@pytest.mark.parametrize("isa", EVERY_ISA)
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_fused_and_shared_kernels(isa, threads, seed):
    """Without every tensor kept, additions are fused and memory is used again."""
    rng = np.random.default_rng(seed)
    graph = random_small_graph(rng, (40, 33, 3))
    assert fusions(graph)
    engine, reference = Kernels(graph, isa, threads), ReferenceModel(graph)
    for _ in range(3):
        image = random_image(rng, graph)
        assert (engine.run(image)[0] == reference.run(image[None])[0]).all()


@pytest.mark.parametrize("isa", EVERY_ISA)
@pytest.mark.parametrize("swap", [False, True])
def test_fused_addition_of_extremes(isa, swap):
    graph, image = addition((0.731, 0.2229), (-77, 31, 8))
    if swap:
        last = graph.operations[-1]
        graph.operations[-1] = type(last)(
            **{
                **{name: getattr(last, name) for name in last.__struct_fields__},
                "inputs": last.inputs[::-1],
                "multipliers": last.multipliers[::-1],
            }
        )
    assert list(fusions(graph)) == ["b"]
    got = Kernels(graph, isa, 2).run(image)[0]
    assert (got == ReferenceModel(graph).run(image[None])[0]).all()


@pytest.mark.parametrize("isa", EVERY_ISA)
@pytest.mark.parametrize("seed", range(4))
def test_gates_become_tables_and_stay_the_same(isa, seed):
    """A function and the product with it are one table unless every tensor is asked for."""
    rng = np.random.default_rng(seed)
    graph = gated_graph(rng, (2 * int(rng.integers(4, 12)), 2 * int(rng.integers(4, 30)), 3))
    tables = [o for o in with_tables(graph).operations if isinstance(o, Lookup)]
    assert [table.name for table in tables] == ["stem", "second"]
    assert not any(isinstance(o, Multiply) for o in with_tables(graph).operations)
    reference = ReferenceModel(graph)
    model = Kernels(graph, isa, 1 + seed % 2)
    for _ in range(3):
        image = random_image(rng, graph)
        expected = reference.run_all(image)
        for name, got in zip(graph.outputs, model.run(image), strict=True):
            assert np.array_equal(got, expected[name])


def test_threads_give_the_same_bits_in_litert():
    rng = np.random.default_rng(9)
    graph = random_small_graph(rng, (40, 33, 3))
    image = random_image(rng, graph)
    model = flatbuffer.emit(graph)
    assert (LiteRT(model, 1).run(image)[0] == LiteRT(model, 2).run(image)[0]).all()


@pytest.mark.parametrize("every_tensor", [False, True])
@pytest.mark.parametrize("position", ["first", "middle", "last"])
def test_an_operator_outside_the_delegate_is_refused(position, every_tensor):
    """A ratio of scales that XNNPACK does not take, which GraphBuilder would not have let in."""
    steps = ["first", "middle", "last"]
    builder = GraphBuilder("x", (4, 4, 2), 1.0, 0)
    name = "x"
    for step in steps:
        name = builder.add(step, name, name, Output(1.0, 0))
    graph = builder.finish(name)
    LiteRT(flatbuffer.emit(graph, every_tensor=every_tensor))
    for tensor in list(graph.tensors.values())[1 + steps.index(position) :]:
        graph.tensors[tensor.name] = Tensor(tensor.name, tensor.shape, 2.0**-9, 0)
    with pytest.raises(DnaError, match="outside the XNNPACK delegate"):
        LiteRT(flatbuffer.emit(graph, every_tensor=every_tensor))


def test_what_is_not_a_flatbuffer_is_refused():
    with pytest.raises(DnaError, match="LiteRT cannot load the network"):
        LiteRT(b"nonsense" * 100)


class TestFunctionalModel:
    def setup_method(self):
        rng = np.random.default_rng(2)
        self.graph = random_small_graph(rng)
        self.batch = np.stack([random_image(rng, self.graph) for _ in range(3)])

    @pytest.mark.parametrize("limit", ["", isa.NONE, *EVERY_ISA])
    def test_same_bits_whatever_engine_it_takes(self, limit, monkeypatch):
        monkeypatch.setenv(isa.VARIABLE, getattr(limit, "name", limit))
        model, reference = FunctionalModel(self.graph), ReferenceModel(self.graph)
        assert (model.run(self.batch) == reference.run(self.batch)).all()
        expected, got = reference.run_all(self.batch[0]), model.run_all(self.batch[0])
        assert expected.keys() == got.keys()
        assert all((expected[name] == got[name]).all() for name in expected)

    def test_an_empty_batch_has_no_logits(self):
        assert FunctionalModel(self.graph).run(self.batch[:0]).shape == (0, 10)

    def test_results_do_not_change_with_the_next_image(self):
        model = FunctionalModel(self.graph)
        first = model.run_all(self.batch[0])
        kept = {name: array.copy() for name, array in first.items()}
        model.run_all(self.batch[1])
        assert all((first[name] == kept[name]).all() for name in kept)

    @pytest.mark.parametrize(
        "images", [np.zeros((1, 13, 11, 3), np.uint8), np.zeros((1, 11, 13, 3), np.int8)]
    )
    def test_other_images_are_refused(self, images):
        model = FunctionalModel(self.graph)
        with pytest.raises(DnaError, match=r"takes int8 images of shape \(13, 11, 3\), not"):
            model.run(images)
        with pytest.raises(DnaError, match="takes int8 images"):
            model.run_all(images[0])

    def test_threads_below_one_are_refused(self):
        with pytest.raises(DnaError, match="threads must be at least 1, not 0"):
            FunctionalModel(self.graph, threads=0)


def test_a_compiler_that_fails_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(native, "COMPILER", "false")
    with pytest.raises(DnaError, match="false cannot compile"):
        kernels.library(ISAS[0])
    assert list((tmp_path / "open-dna" / "kernels").iterdir()) == []
