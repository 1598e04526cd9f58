"""The versions of all packages that ``make setup`` installs, with what those need in turn.

``constraints.txt`` pins them, so that next year's fresh install gives today's pixels and bits.
``python -m tests.support.constraints`` writes it from the packages that this Python has;
``make constraints`` does that in a new environment of the newest versions.
"""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
FILE = ROOT / "constraints.txt"
HEAD = """\
# The version of every package that `make setup` installs (pip install -c constraints.txt); the same
# on every Python that it runs on. Written by `make constraints`; do not edit.
"""
GPU = ("nvidia-", "cuda-", "triton")
"""How packages are called that only the CUDA builds of PyTorch need, which pin them themselves."""


def read(text: str) -> dict[str, str]:
    """Versions by canonical name of a file of ``NAME==VERSION`` lines.

    Raises:
        ValueError: a line is something else, or names a package again.
    """
    versions: dict[str, str] = {}
    for line in filter(None, (line.partition("#")[0].strip() for line in text.splitlines())):
        name, equals, version = line.partition("==")
        if not equals or name != canonicalize_name(name) or not re.fullmatch(r"[\w.!]+", version):
            raise ValueError(f"{line!r} is not NAME==VERSION")
        if name in versions:
            raise ValueError(f"{name} is there twice")
        versions[name] = version
    return versions


def extras() -> list[str]:
    """The extras that ``make setup`` installs, as the Makefile lists them."""
    names = re.search(r"^EXTRAS +:= (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert names is not None
    return names[1].split(",")


def installed() -> dict[str, str]:
    """Versions by canonical name of what is installed of our dependencies and of theirs.

    A local label (``2.13.0+cpu``) is left out: another computer's build has another one.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    waiting = [Requirement(line) for line in project["dependencies"]]
    waiting += [Requirement(line) for extra in extras() for line in optional[extra]]
    seen: set[tuple[str, str]] = set()
    versions: dict[str, str] = {}
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        wanted = {(name, extra) for extra in ("", *requirement.extras)} - seen
        if not wanted or not _applies(requirement, "") or name.startswith(GPU):
            continue
        seen |= wanted
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # of an extra that was left out
        versions[name] = found.version.partition("+")[0]
        for line in found.requires or []:
            needed = Requirement(line)
            if any(_applies(needed, extra) for _, extra in wanted):
                needed.marker = None
                waiting.append(needed)
    return versions


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def main() -> None:
    """Write the file."""
    lines = [f"{name}=={version}\n" for name, version in sorted(installed().items())]
    FILE.write_text(HEAD + "".join(lines))


if __name__ == "__main__":
    main()
