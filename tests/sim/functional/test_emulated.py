"""The kernels for Arm, compiled by Debian's cross compiler, under emulation by qemu-user."""

import ctypes
import functools
import shutil
import subprocess

import numpy as np
import pytest

from sim.functional import kernels, layout
from sim.functional.isa import ISAS
from sim.functional.kernels import Kernels
from sim.native.declarations import constants
from sim.reference import ReferenceModel
from sw.graph_builder import GraphBuilder, Output, Weights, Window
from sw.operations import Padding
from tests import skips
from tests.sim.functional.test_model import addition, extremes, one_ulp_apart
from tests.support.graphs import random_image, random_small_graph

COMPILER, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64"
ARM = [isa for isa in ISAS if isa.lanes == 4]
PARTS = {"i8mm": "max", "dotprod": "cortex-a76"}
"""Whom the emulator is to be: the second has no i8mm."""

pytestmark = pytest.mark.skipif(
    not (shutil.which(COMPILER) and shutil.which(EMULATOR)), reason=skips.ARM
)


def pointers(described, start=0):
    """The places of the pointers in a structure."""
    for name, kind in described._fields_:
        place = start + getattr(described, name).offset
        if issubclass(kind, ctypes.Structure):
            yield from pointers(kind, place)
        elif issubclass(kind, ctypes._Pointer):
            yield place


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("arm")

    @functools.cache
    def program(isa):
        places = ", ".join(map(str, pointers(layout.Layer)))
        front = folder / f"{isa.name}.h"
        table = f"#include <cstddef>\nconstexpr size_t kPointers[] = {{{places}}};\n"
        front.write_text(layout.PRELUDE + constants(isa.constants) + "\n" + table)
        source = kernels.SOURCE.parents[2] / "tests/sim/functional/emulated.cc"
        command = [COMPILER, *isa.flags, "-O1", "-static", f"-I{kernels.SOURCE.parent}"]
        built = folder / isa.name
        subprocess.run([*command, "-include", front, source, "-o", built], check=True)
        return built

    return program


@pytest.fixture
def emulated(programs, monkeypatch, tmp_path):
    """Kernels, all of whose memory is in one array, which the emulated program reads and writes."""
    arena = np.zeros(1 << 24, np.uint8)
    arena = arena[-arena.ctypes.data % 64 :]
    used = 0

    def aligned(size, fill=0):
        nonlocal used
        start, used = used, used + -(-size // 64) * 64
        assert used <= len(arena)
        arena[start : start + size] = fill
        return arena[start : start + size]

    monkeypatch.setattr(layout, "aligned", aligned)
    monkeypatch.setattr(kernels, "aligned", aligned)

    class Emulated(Kernels):
        def _start(self, layers, threads):
            table = bytearray(bytes(layers))
            for number in range(len(layers)):
                for place in pointers(layout.Layer, number * ctypes.sizeof(layout.Layer)):
                    pointer = int.from_bytes(table[place : place + 8], "little")
                    inside = pointer - arena.ctypes.data + 1 if pointer else 0
                    table[place : place + 8] = inside.to_bytes(8, "little")
            begin, file = used, tmp_path / "memory"
            aligned(len(table))[:] = np.frombuffer(table, np.uint8)
            command = [EMULATOR, "-cpu", PARTS[self._isa.name], programs(self._isa), file]

            def compute():
                file.write_bytes(arena[:used].tobytes())
                numbers = (begin, len(layers), threads)
                subprocess.run([*command, *map(str, numbers)], check=True)
                arena[:used] = np.fromfile(file, np.uint8)

            return compute

    return Emulated


def agree(engine, graph, *images):
    """Every tensor of every image equals the reference."""
    reference = ReferenceModel(graph)
    for image in images:
        expected = reference.run_all(image)
        for operation, got in zip(graph.operations, engine.run(image), strict=True):
            assert (got == expected[operation.output]).all(), operation.name


@pytest.mark.parametrize("isa", ARM, ids=lambda isa: isa.name)
class TestArm:
    @pytest.mark.parametrize("seed", range(3))
    def test_small_networks(self, emulated, isa, seed):
        rng = np.random.default_rng(seed)
        graph = random_small_graph(rng, (13, 11, 3), classes=17)
        image = random_image(rng, graph)
        agree(emulated(graph, isa, every_tensor=True), graph, image, extremes(rng, (13, 11, 3)))
        fused = emulated(graph, isa, threads=2)
        assert (fused.run(image)[0] == ReferenceModel(graph).run(image[None])[0]).all()

    @pytest.mark.parametrize("depthwise", [False, True])
    @pytest.mark.parametrize(("kernel", "stride"), [((3, 3), (1, 1)), ((5, 2), (2, 3))])
    def test_convolution_of_extremes(self, emulated, isa, depthwise, kernel, stride):
        rng = np.random.default_rng(sum(kernel))
        channels, outputs = (37, 37) if depthwise else (7, 37)
        builder = GraphBuilder("x", (9, 10, channels), 0.03125, -3)
        form = (outputs, *kernel) if depthwise else (outputs, *kernel, channels)
        weights = Weights(
            extremes(rng, form),
            rng.integers(-(2**15), 2**15, outputs, dtype=np.int32),
            one_ulp_apart(rng, outputs, 0.01),
        )
        add = builder.depthwise_conv2d if depthwise else builder.conv2d
        output = Output(3.0, -128, "relu") if depthwise else Output(3.0, 5)
        add("y", "x", weights, output, Window(kernel, stride, Padding(1, 1, 1, 1)))
        graph = builder.finish("y")
        images = [extremes(rng, (9, 10, channels)), np.full((9, 10, channels), 127, np.int8)]
        agree(emulated(graph, isa, every_tensor=True), graph, *images)

    @pytest.mark.parametrize("output", [Output(1.0, 1), Output(1.0, -128, "relu")])
    def test_every_tie(self, emulated, isa, output):
        bias = np.arange(-1200, 1200, dtype=np.int32)
        scale = np.where(bias % 3 == 0, 0.5, np.nextafter(np.float32(0.5), 1)).astype("f4")
        builder = GraphBuilder("x", (1, 1, 1), 1.0, 0)
        weights = Weights(np.ones((len(bias), 1, 1, 1), np.int8), bias, scale)
        builder.conv2d("y", "x", weights, output)
        agree(
            emulated(builder.finish("y"), isa, every_tensor=True),
            builder.finish("y"),
            *(np.full((1, 1, 1), value, np.int8) for value in (0, 1)),
        )

    def test_addition_of_all_pairs(self, emulated, isa):
        graph, image = addition((0.75, 0.25), (1, -1, 5), "relu")
        agree(emulated(graph, isa, every_tensor=True), graph, image)
        fused = emulated(graph, isa, threads=2)
        assert (fused.run(image)[0] == ReferenceModel(graph).run(image[None])[0]).all()
