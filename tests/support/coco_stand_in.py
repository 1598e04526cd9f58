"""A data set in COCO's layout, as large as MLPerf's part of it, made of few photographs.

``python -m tests.support.coco_stand_in FOLDER`` fills FOLDER with 1,525 different JPEGs, sections
of the photographs of ``dna fetch`` (or of ``--data-dir``) with smaller sections of others pasted
in, and their ``annotations/instances_val2017.json``: what was pasted is a thing of one of COCO's 80
categories, its edges are a box. It is for runs that must have the size and form of COCO; accuracy
on it says nothing about accuracy on COCO.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track

from harness.data import fetch
from harness.data.coco import ANNOTATIONS
from harness.data.datasets import Dataset
from tests.support.stand_in import QUALITY, section

COUNT = 1525
ABSENT = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
CATEGORIES = tuple(number for number in range(1, 91) if number not in ABSENT)
"""COCO's identifiers."""

MOST_THINGS = 6
LEAST_PART, MOST_PART = 0.1, 0.5
FOLDER = "val2017_safe"


def make(photographs: list[Path], folder: Path, count: int, seed: int = 0) -> None:
    """Fill ``folder``.

    Args:
        photographs: to take sections of.
        folder: must not exist.
        count: photographs to make.
        seed: of all that is random.
    """
    (folder / FOLDER).mkdir(parents=True)
    loaded = [Image.open(path).convert("RGB") for path in photographs]
    images, boxes = [], []
    for number in track(range(1, count + 1), "making photographs"):
        rng = np.random.default_rng((seed, number))
        picture = section(loaded[number % len(loaded)], rng)
        name = f"{number:012d}.jpg"
        for _ in range(rng.integers(1, MOST_THINGS + 1)):
            box = _paste(picture, loaded[rng.integers(len(loaded))], rng)
            boxes.append(
                {
                    "id": len(boxes) + 1,
                    "image_id": number,
                    "category_id": int(rng.choice(CATEGORIES)),
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                }
            )
        picture.save(folder / FOLDER / name, quality=QUALITY)
        width, height = picture.size
        size = {"width": width, "height": height}
        images.append({"id": number, "file_name": name, "coco_url": name, **size})
    path = folder / ANNOTATIONS
    path.parent.mkdir()
    categories = [{"id": number, "name": f"thing {number}"} for number in CATEGORIES]
    path.write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))


def _paste(picture: Image.Image, other: Image.Image, rng: np.random.Generator) -> list[int]:
    """Put a section of ``other`` somewhere; its box: left, top, width, height."""
    width, height = (
        max(8, int(side * rng.uniform(LEAST_PART, MOST_PART))) for side in picture.size
    )
    left, top = (
        int(rng.integers(0, whole - side + 1))
        for whole, side in zip(picture.size, (width, height), strict=True)
    )
    picture.paste(section(other, rng).resize((width, height)), (left, top))
    return [left, top, width, height]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="must not exist")
    parser.add_argument("--data-dir", type=Path, help="photographs with val_map.txt")
    parser.add_argument("--count", type=int, default=COUNT)
    arguments = parser.parse_args()
    source = Dataset(arguments.data_dir or fetch.photographs_dir())
    make(source.paths, arguments.folder, arguments.count)


if __name__ == "__main__":
    main()
