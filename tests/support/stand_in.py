"""A data set as large as ImageNet's validation set, made of few photographs.

``python -m tests.support.stand_in FOLDER`` fills FOLDER with 50,000 different JPEGs, sections of
the photographs of ``dna fetch`` (or of ``--data-dir``), some of them mirrored, and their
``val_map.txt``. It is for runs that must have ImageNet's size: memory, LoadGen's sample sets, a
submission's checks. Accuracy on it says nothing about accuracy on ImageNet.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from rich.progress import track

from harness.data import fetch
from harness.data.datasets import VAL_MAP, Dataset

IMAGENET = 50_000
SHORTER_SIDE = 256
LEAST_PART = 0.8
QUALITY = 90


def make(source: Dataset, folder: Path, count: int, seed: int = 0) -> None:
    """Fill ``folder`` with ``count`` photographs and their list.

    Photograph ``i`` is a section of photograph ``i % len(source.paths)`` of ``source``, with its
    label.
    """
    folder.mkdir(parents=True)
    names = [f"stand_in_{number:08d}.JPEG" for number in range(1, count + 1)]
    for start, path in enumerate(track(source.paths, "making photographs")):
        rng = np.random.default_rng((seed, start))
        with Image.open(path) as file:
            photograph = file.convert("RGB")
        for name in names[start :: len(source.paths)]:
            section(photograph, rng).save(folder / name, quality=QUALITY)
    labels = [source.labels[number % len(source.paths)] for number in range(count)]
    lines = (f"{name} {label}\n" for name, label in zip(names, labels, strict=True))
    (folder / VAL_MAP).write_text("".join(lines))


def section(photograph: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A random part of a photograph, its shorter side 256 pixels, mirrored half of the time."""
    part = rng.uniform(LEAST_PART, 1)
    width, height = photograph.size
    left, top = rng.uniform(0, 1 - part, 2) * (width, height)
    box = (left, top, left + part * width, top + part * height)
    scale = SHORTER_SIDE / min(width, height)
    size = (round(width * scale), round(height * scale))
    resized = photograph.resize(size, Image.Resampling.BILINEAR, box, reducing_gap=2.0)
    return ImageOps.mirror(resized) if rng.random() < 0.5 else resized


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="must not exist")
    parser.add_argument("--data-dir", type=Path, help="photographs with val_map.txt")
    parser.add_argument("--count", type=int, default=IMAGENET)
    arguments = parser.parse_args()
    source = Dataset(arguments.data_dir or fetch.photographs_dir())
    make(source, arguments.folder, arguments.count)


if __name__ == "__main__":
    main()
