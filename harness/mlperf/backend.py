"""The backend that drives the DNA from MLPerf's reference implementation.

The reference's ``main.py`` reads photographs and preprocesses them, asks a backend for predictions
and talks to LoadGen. This backend does everything in between: it quantizes and calibrates trained
weights, compiles them, keeps the result in the cache under a name made of everything that went into
it, and runs it. :mod:`harness.mlperf.reference` puts it into a checkout.

Which of the reference's data sets fits, says :mod:`harness.mlperf.data_set`. With ``imagenet``,
weights trained on BGR get their channels in that order (their resize then is the reference's area
averaging, not the bilinear one that they were trained with).
"""

from __future__ import annotations

import argparse
import hashlib
import queue
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import harness
import hw
import sw
from harness.data import fetch
from harness.data.datasets import Dataset
from harness.hardware.configuration import configuration
from harness.host import computer
from harness.mlperf import data_set
from sim.quantization import quantize
from sim.runtime import Runtime
from sw import artifact
from sw.classes import best
from sw.errors import DnaError
from sw.host import children, digests
from sw.models import weights as trained
from sw.version import VERSION

Int8 = npt.NDArray[np.int8]

NAME = "dna"
NO_MODEL_DIR = "-"
"""What ``run_common.sh`` passes as the model when the user has set no MODEL_DIR."""

DEFAULT_CONFIG = "f200"
INPUT = "image"
WEIGHTS = tuple(f"resnet50*{end}" for end in (".pth", ".pt", ".pth.tar", ".bin", ".safetensors"))


def prepare(args: argparse.Namespace) -> None:
    """Deploy the network that the reference's command line asks for, and say so in ``args``.

    ``model`` becomes the deployed artifact, ``dataset`` what it needs unless the user chose one.
    Ends the process with one line on stderr if something is wrong.

    Args:
        args: of the reference's ``main.py``, with ``dataset_calibration_list`` and ``dna_config``.
    """
    try:
        if args.threads < 1:
            raise DnaError(f"--threads {args.threads}: at least one is needed")
        weights_file = weights(args.model)
        naming = trained.read(weights_file).naming
        args.dataset = data_set.fitting(naming.preprocessing, args.dataset)
        deployed = deploy(
            weights_file,
            Path(args.dataset_path),
            args.dataset_calibration_list and Path(args.dataset_calibration_list),
            args.dna_config or DEFAULT_CONFIG,
        )
        network = artifact.load(deployed)
    except DnaError as error:
        sys.exit(f"error: {error}")
    args.model = str(deployed)
    if args.scenario == "Offline" and not args.accuracy and args.count is None:
        rate = min(args.threads, computer.cpus()) / _seconds(network)
        print(f"open DNA: {data_set.offline_remark(rate)}", file=sys.stderr)
    DnaBackend.one_at_a_time = args.scenario == "SingleStream"
    DnaBackend.threads = args.threads


def weights(model: str) -> Path:
    """The file of trained weights.

    Args:
        model: a file, a folder (MODEL_DIR) with one, or ``NO_MODEL_DIR``: those of ``dna fetch``.

    Raises:
        DnaError: there is none, or more than one.
    """
    if model == NO_MODEL_DIR:
        return fetch.weights_path()
    path = Path(model)
    if not path.is_dir():
        return path
    found = sorted(file for pattern in WEIGHTS for file in path.glob(pattern))
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "nothing"
        raise DnaError(
            f"MODEL_DIR {path} must have one of {' or '.join(WEIGHTS)}, but has {names}; "
            "unset it for the weights of `dna fetch`"
        )
    return found[0]


def deploy(weights_file: Path, data_dir: Path, calibration_list: Path | None, config: str) -> Path:
    """Quantize, calibrate and compile, unless the cache has it.

    Args:
        weights_file: trained weights.
        data_dir: folder of the calibration photographs.
        calibration_list: their names.
        config: the machine, as `dna compile` takes it.

    Returns:
        The deployed artifact.

    Raises:
        DnaError: something is missing, or a step failed (it has said why on stderr).
    """
    if calibration_list is None:
        raise DnaError(
            "which photographs are for calibration? name them: --dataset-calibration-list FILE"
        )
    configuration(config)  # a bad one is found before the weights are quantized for it
    photographs = Dataset(data_dir, calibration_list, calibration=True).paths
    folder = fetch.cache_dir() / "deployed" / _key(weights_file, photographs, config)
    model, deployed = folder / "model.dna", folder / "deployed.dna"
    if not (deployed / artifact.MANIFEST).is_file():
        data = ("--data-dir", str(data_dir), "--calibration-list", str(calibration_list))
        _dna("quantize", "--weights", str(weights_file), *data, "-o", str(model))
        _dna("compile", str(model), "--config", config, "-o", str(deployed))
    print(f"open DNA: {deployed}", file=sys.stderr)
    return deployed


def _key(weights_file: Path, photographs: list[Path], config: str) -> str:
    """A name for everything that decides what is deployed: files, and our source."""
    source = digests.of_sources(*((package, "**/*.py") for package in (hw, sw, harness)))
    digest = hashlib.sha256(f"{source} {config}".encode())
    machine = [Path(config)] if Path(config).is_file() else []
    try:
        for file in (*machine, weights_file, *photographs):
            digest.update(digests.of_file(file).encode())
    except OSError as error:
        raise DnaError(f"cannot read {error.filename}: {error.strerror}") from error
    return digest.hexdigest()[:16]


def _dna(*arguments: str) -> None:
    """One step, in a process of its own: no framework stays in the one that is timed."""
    command = (sys.executable, "-m", "harness.cli", *arguments)
    done = children.run(command, stdout=sys.stderr, own_group=False)
    if done.returncode:
        raise DnaError(f"`dna {' '.join(arguments)}` failed")


def _seconds(network: artifact.Artifact) -> float:
    """That an image takes on one thread of this computer."""
    runtime = Runtime(network, threads=1)
    image = np.zeros((1, *network.manifest.input.shape), np.int8)
    runtime.run(image)
    started = time.perf_counter()
    runtime.run(image)
    return time.perf_counter() - started


def _named(network: artifact.Artifact) -> str:
    how = network.manifest.preprocessing
    return "" if how is None else how.name


def _turned_round(images: Int8) -> Int8:
    """RGB to BGR; OpenCV does it thirty times as fast as NumPy, and this is timed."""
    import cv2

    turned: Int8 = np.empty_like(images)
    for image, target in zip(images.view(np.uint8), turned.view(np.uint8), strict=True):
        cv2.cvtColor(image, cv2.COLOR_RGB2BGR, dst=target)
    return turned


class DnaBackend:
    """What the reference's ``main.py`` asks of a backend.

    Attributes:
        inputs: names of the inputs; the reference feeds the first.
        outputs: names of the outputs.
        one_at_a_time: all threads share one image, as suits SingleStream; else each has its own.
        threads: of the functional model, altogether.
    """

    one_at_a_time = True
    threads = 1

    def __init__(self) -> None:
        super().__init__()
        self.inputs = [INPUT]
        self.outputs = ["logits"]
        self._idle: queue.SimpleQueue[Runtime] = queue.SimpleQueue()
        self._preprocessing = ""
        self._offset = 0

    def name(self) -> str:
        """For the reference's report."""
        return NAME

    def version(self) -> str:
        """For the reference's report."""
        return VERSION

    def image_format(self) -> str:
        """The order of an image's axes."""
        return "NHWC"

    def load(
        self, model_path: str, inputs: list[str] | None = None, outputs: list[str] | None = None
    ) -> DnaBackend:
        """Open a deployed artifact.

        Args:
            model_path: what :func:`prepare` made of ``--model``.
            inputs: of the reference's profile; the names mean nothing here.
            outputs: likewise.

        Raises:
            DnaError: it is missing or damaged.
        """
        network = artifact.load(Path(model_path))
        self._preprocessing = _named(network)
        self._offset = network.manifest.class_offset or 0
        together = self.threads if self.one_at_a_time else 1
        for _ in range(self.threads // together):
            self._idle.put(Runtime(network, threads=together))
        return self

    def predict(self, feed: Mapping[str, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        """Answer a batch; safe in several threads at once.

        Args:
            feed: by the name of the input, float32 [N, 224, 224, 3].

        Returns:
            One array: for ``imagenet_pytorch`` logits, float32 [N, 1000]; for ``imagenet`` the
            classes counted from 1, int64 [N].
        """
        real = np.asarray(feed[self.inputs[0]], np.float32)
        runtime = self._idle.get()
        try:
            images = quantize(real, runtime.manifest.input)
            if self._preprocessing == "caffe":
                images = _turned_round(images)
            logits = runtime.run(images)
        finally:
            self._idle.put(runtime)
        if self._preprocessing == "torchvision":
            return [logits[:, self._offset :]]
        return [best(logits, self._offset) + 1]
