"""A data set as COCO lays it out, and as MLPerf hands out its part of it for ``yolo``.

    DATA_DIR/annotations/instances_val2017.json   photographs, categories and boxes
    DATA_DIR/val2017_safe/*.jpg                   the photographs, here, in val2017/ or in DATA_DIR

Photographs are counted in the order of the JSON file. A network's classes are the categories in the
order of their identifiers: of COCO 80, with identifiers of 1 to 90.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import msgspec

from harness.data.datasets import data_dir_from
from sw.errors import DnaError

ANNOTATIONS = Path("annotations", "instances_val2017.json")
FOLDERS = ("val2017_safe", "val2017", ".")


def folder_of(option: Path | None) -> Path:
    """The folder of COCO: ``option``, else the environment's DATA_DIR.

    Raises:
        DnaError: neither says; nothing that can be fetched has such photographs.
    """
    folder = data_dir_from(option)
    if folder is None:
        raise DnaError(
            "where are the photographs with boxes? say --data-dir: a folder in COCO's layout "
            "(docs/mlperf.md), which `dna fetch` does not bring"
        )
    return folder


class Image(msgspec.Struct, frozen=True):
    """A photograph, as the file describes it."""

    id: int
    file_name: str
    width: int
    height: int


class Category(msgspec.Struct, frozen=True):
    """What a box may be of."""

    id: int
    name: str


class _File(msgspec.Struct, frozen=True):
    images: list[Image]
    categories: list[Category]


class Coco:
    """Photographs with boxes on disk; all are found before any work begins.

    Attributes:
        data_dir: the folder.
        list_file: the JSON file.
        images: what it says of each photograph.
        paths: of them.
        categories: identifiers of the classes, in the network's order.

    Args:
        data_dir: the folder.

    Raises:
        DnaError: the file is missing or no such JSON, or photographs are missing.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.list_file = data_dir / ANNOTATIONS
        try:
            read = msgspec.json.decode(self.list_file.read_bytes(), type=_File)
        except OSError as error:
            raise DnaError(
                f"cannot read {self.list_file}: {error.strerror}; yolo needs a folder in COCO's "
                "layout (docs/mlperf.md)"
            ) from error
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise DnaError(f"{self.list_file} is no file of COCO's form: {error}") from error
        if not read.images or not read.categories:
            raise DnaError(f"{self.list_file} has no images or no categories")
        self.images = read.images
        self.categories = sorted(category.id for category in read.categories)
        found = [_find(data_dir, image.file_name) for image in read.images]
        self.paths = [path for path in found if path is not None]
        if None in found:
            first = read.images[found.index(None)].file_name
            raise DnaError(
                f"{self.list_file}: no file {first} in {data_dir} or its {FOLDERS[0]}/ or "
                f"{FOLDERS[1]}/ ({found.count(None)} of {len(found)} are missing)"
            )


def _find(data_dir: Path, name: str) -> Path | None:
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts:
        raise DnaError(f"{data_dir / ANNOTATIONS}: {name!r} leads out of the folder")
    places = (data_dir / folder / name for folder in FOLDERS)
    return next((path for path in places if path.is_file()), None)
