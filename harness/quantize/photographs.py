"""Which photographs calibrate a network, and which say what quantization cost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.data import fetch
from harness.data.datasets import Dataset, data_dir_from
from harness.data.preprocess import load_image
from harness.quantize.quantized import F32Array
from sw.errors import DnaError
from sw.preprocessing import Preprocessing, chosen


def calibration(data_dir: Path | None, calibration_list: Path | None) -> Dataset:
    """The photographs to calibrate with; never, unasked, those that a folder has to validate.

    Args:
        data_dir: folder of photographs; None: the environment's, else those of ``dna fetch``.
        calibration_list: which of them; None: all that were fetched.

    Raises:
        DnaError: they cannot be used, or a folder was named and no list.
    """
    folder = data_dir_from(data_dir)
    if folder is not None and calibration_list is None:
        raise DnaError(
            f"which photographs of {folder} are for calibration? name them: --calibration-list FILE"
        )
    return Dataset(folder or fetch.photographs_dir(), calibration_list, calibration=True)


def validation(calibration: Dataset, val_map: Path) -> Dataset:
    """The photographs to validate with, from the same folder.

    Raises:
        DnaError: they cannot be used, or have no labels.
    """
    found = Dataset(calibration.data_dir, val_map)
    if None in found.labels:
        raise DnaError(f"{val_map} has no labels: no accuracy can be told")
    return found


def chosen_for(choice: str, shape: tuple[int, ...]) -> Preprocessing:
    """The preprocessing of the photographs of a network whose input has ``shape``.

    Raises:
        DnaError: as :func:`sw.preprocessing.chosen`; or it takes no photographs.
    """
    made = chosen(choice, shape)
    if made is None:
        raise DnaError(f"--preprocessing {choice}: a network is calibrated on photographs here")
    return made


def images(
    dataset: Dataset, preprocessing: Preprocessing, shape: tuple[int, ...]
) -> Iterator[F32Array]:
    """Each photograph, float32 of ``shape``, read when it is asked for."""
    return (load_image(path, preprocessing, shape) for path in dataset.paths)
