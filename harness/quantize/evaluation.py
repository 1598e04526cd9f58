"""What quantization cost: a network in float32 against its integer graph, image by image."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from harness.data.datasets import Dataset
from harness.data.inputs import preprocessing_of
from harness.data.preprocess import load_image
from harness.quantize.quantized import F32Array
from sim.functional import FunctionalModel
from sim.quantization import quantize
from sw.artifact import Artifact, Manifest
from sw.classes import best


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Top-1 of both on the same images, as fractions.

    Attributes:
        images: how many were compared.
        fp32_top1: of the float32 network.
        int8_top1: of the integer graph.
        agreement: how often both put the same class first.
    """

    images: int
    fp32_top1: float
    int8_top1: float
    agreement: float

    @property
    def ratio(self) -> float | None:
        """int8 top-1 as a part of float32 top-1; None if the latter is 0."""
        return self.int8_top1 / self.fp32_top1 if self.fp32_top1 else None


def compare(
    fp32: Callable[[F32Array], F32Array],
    network: Artifact,
    samples: Iterable[tuple[F32Array, int]],
    *,
    threads: int,
) -> Comparison:
    """Run both networks on every image.

    Args:
        fp32: float32 [H, W, C] to logits float32 [classes].
        network: the quantized one; runs on the functional model.
        samples: preprocessed images with their labels; at least one.
        threads: of the functional model.
    """
    model, offset = FunctionalModel(network.graph, threads), network.manifest.class_offset
    answers = []
    for image, label in samples:
        integer = model.run(quantize(image, network.manifest.input)[np.newaxis])
        answers.append((label, best(fp32(image)[np.newaxis], offset)[0], best(integer, offset)[0]))
    labels, first, second = np.array(answers).T
    return Comparison(
        images=len(answers),
        fp32_top1=float((first == labels).mean()),
        int8_top1=float((second == labels).mean()),
        agreement=float((first == second).mean()),
    )


def samples(
    validation: Dataset, manifest: Manifest, progress: Callable[[str, int], None]
) -> Iterator[tuple[F32Array, int]]:
    """Each photograph with its label, read when it is asked for.

    Args:
        validation: photographs with labels.
        manifest: of the network.
        progress: called with the stage and how many photographs are done.
    """
    how, shape = preprocessing_of(manifest), tuple(manifest.input.shape)
    for done, (path, label) in enumerate(zip(validation.paths, validation.labels, strict=True), 1):
        assert label is not None
        yield load_image(path, how, shape), label
        progress("evaluating", done)
