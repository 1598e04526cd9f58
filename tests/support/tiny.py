"""A network that runs in a millisecond and photographs for it."""

from pathlib import Path

import numpy as np
from PIL import Image

from harness.data import preprocess
from hw.config import DnaConfig
from sw import artifact
from sw.compiler import compile_graph
from sw.preprocessing import named
from tests.support.coco_stand_in import make
from tests.support.graphs import random_detector, random_small_graph

CLASSES = 10
SIDES, THINGS = 64, 80
"""Channels of a detector's maps: distributions of the sides of boxes, and COCO's categories."""


def load_image(path: Path, name: str = "caffe", shape: tuple[int, ...] = (224, 224, 3)):
    """A photograph as the preprocessing of that name makes it: float32 of ``shape``."""
    how = named(name, shape)
    assert how is not None
    return preprocess.load_image(path, how, shape)


def save_artifact(path: Path, *, side: int = 224, preprocessing: str = "caffe") -> Path:
    """An artifact with random weights and 10 classes called "thing 0" to "thing 9"."""
    graph = random_small_graph(np.random.default_rng(1), (side, side, 3), CLASSES)
    network = artifact.make(
        graph,
        model="tiny",
        framework="none",
        preprocessing=preprocessing,
        class_names=[f"thing {number}" for number in range(CLASSES)],
    )
    artifact.save(network, path)
    return path


def save_compiled(path: Path, config: DnaConfig, *, side: int = 224, images: int = 1) -> Path:
    """The same artifact with its program for a machine, and that of several images."""
    network = artifact.load(save_artifact(path, side=side))
    program = compile_graph(network.graph, config)
    batch = compile_graph(network.graph, config, images=images) if images > 1 else None
    artifact.save(artifact.with_program(network, program, batch), path)
    return path


def save_detector(path: Path, config: DnaConfig | None = None, *, side: int = 64) -> Path:
    """An artifact of a detector with random weights, three scales of two maps each."""
    network = artifact.make(
        random_detector(np.random.default_rng(3), side, (SIDES, THINGS)),
        model="tiny detector",
        framework="none",
        preprocessing="yolo",
    )
    if config is not None:
        network = artifact.with_program(network, compile_graph(network.graph, config))
    artifact.save(network, path)
    return path


def save_coco(folder: Path, count: int) -> Path:
    """Photographs in COCO's layout, made of blurred noise, with boxes."""
    noise = save_photographs(folder / "noise", 4)
    make(sorted(noise.glob("*.jpg")), folder / "coco", count)
    return folder / "coco"


def save_photographs(folder: Path, count: int) -> Path:
    """Blurred noise with labels 0, 1, 2 ... 9, 0, 1 ... in ``val_map.txt``."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(2)
    lines = []
    for number in range(count):
        coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((320, 240)).save(folder / f"{number}.jpg")
        lines.append(f"{number}.jpg {number % CLASSES}\n")
    (folder / "val_map.txt").write_text("".join(lines))
    return folder
