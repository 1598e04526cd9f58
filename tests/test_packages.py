"""What is installed is what the project's files say; what they say fits together."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from sw.host.extras import Extra
from sw.version import VERSION
from tests.support import constraints

PROJECT = tomllib.loads((constraints.ROOT / "pyproject.toml").read_text())["project"]
OPTIONAL = PROJECT["optional-dependencies"]
REQUIREMENTS = [
    Requirement(line) for lines in (PROJECT["dependencies"], *OPTIONAL.values()) for line in lines
]
EXTRAS_LEFT_OUT = {"tensorflow", "memory", "energy"}
"""What `make setup` leaves to those who need it; they pin their packages themselves."""
LEFT_OUT = {Requirement(line).name for extra in EXTRAS_LEFT_OUT for line in OPTIONAL[extra]}
PINS = constraints.read(constraints.FILE.read_text())


def test_the_installed_versions_are_those_of_the_constraints():
    installed = constraints.installed()
    assert {"numpy", "pillow", "opencv-python-headless", "pytest"} <= installed.keys()
    others = {
        name: (version, PINS.get(name))
        for name, version in installed.items()
        if version != PINS.get(name)
    }
    assert not others, "installed and pinned: see tests/support/constraints.py"


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_the_constraints_are_versions_that_the_project_takes(requirement):
    name = canonicalize_name(requirement.name)
    if name in LEFT_OUT:
        assert EXTRAS_LEFT_OUT.isdisjoint(constraints.extras())
        return
    assert PINS[name] in requirement.specifier


def test_constraints_name_no_address_and_no_computer():
    text = constraints.FILE.read_text()
    assert not re.search(r"https?:|file:|@|\+|--", text)
    assert list(PINS) == sorted(PINS)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("numpy>=2", "not NAME==VERSION"),
        ("numpy @ file:///x", "not NAME==VERSION"),
        ("torch==2.13.0+cpu", "not NAME==VERSION"),
        ("NumPy==2.0", "not NAME==VERSION"),
        ("numpy==2.4.6\nnumpy==2.4.5", "numpy is there twice"),
    ],
)
def test_other_lines_are_refused(line, message):
    with pytest.raises(ValueError, match=message):
        constraints.read(f"# a comment\n\n{line}\n")


def test_any_python_from_3_11():
    assert PROJECT["requires-python"] == ">=3.11"
    assert all(f"3.{minor}" in SpecifierSet(PROJECT["requires-python"]) for minor in (11, 12, 13))


def test_make_setup_installs_the_extras_that_commands_ask_for():
    asked = {extra for extras in Extra.__args__ for extra in extras.split(",")}
    assert asked <= OPTIONAL.keys()
    assert set(constraints.extras()) == OPTIONAL.keys() - EXTRAS_LEFT_OUT


def test_the_version_heads_the_changelog():
    text = (constraints.ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(
        r"^## (?:\[(\S+)\] - \d{4}-\d\d-\d\d|\[Unreleased\])$", text, re.MULTILINE
    )
    versions = [heading for heading in headings if heading]
    assert versions[0] == VERSION
    assert versions == sorted(versions, key=Version, reverse=True)
