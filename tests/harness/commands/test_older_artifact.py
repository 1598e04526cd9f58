"""An artifact whose program is for an older instruction set: its graph serves, its program not."""

import json

import pytest
from click.testing import CliRunner

from harness.cli import dna
from hw.isa import ISA_VERSION
from sw import artifact
from sw.errors import DnaError
from tests.support.tiny import save_artifact, save_photographs


@pytest.fixture(scope="module")
def older(tmp_path_factory):
    """Compiled for nano, and its manifest set back by one instruction set."""
    folder = tmp_path_factory.mktemp("older")
    path = folder / "tiny.nano"
    assert invoke("compile", save_artifact(folder / "tiny"), "--config", "nano", "-o", path) == 0
    manifest = json.loads((path / artifact.MANIFEST).read_text())
    manifest["target"]["isa_version"] = ISA_VERSION - 1
    (path / artifact.MANIFEST).write_text(json.dumps(manifest))
    return path


@pytest.fixture(scope="module")
def photograph(tmp_path_factory):
    return save_photographs(tmp_path_factory.mktemp("photographs"), 1) / "0.jpg"


def invoke(*arguments):
    result = CliRunner().invoke(dna, [str(argument) for argument in arguments])
    if isinstance(result.exception, DnaError):
        raise result.exception
    return result.exit_code


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "OLDER", "-o", "report.html"),
        ("disasm", "OLDER"),
        ("verify", "OLDER", "--image", "PHOTOGRAPH"),
        ("verify", "OLDER", "--image", "PHOTOGRAPH", "--config", "nano"),
        ("verify", "OLDER", "--image", "PHOTOGRAPH", "--layers", "*"),
        ("loadgen", "OLDER", "--scenario", "SingleStream", "--timing", "modelled"),
    ],
)
def test_what_needs_the_program_says_recompile(older, photograph, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    places = {"OLDER": older, "PHOTOGRAPH": photograph}
    with pytest.raises(DnaError) as refused:
        invoke(*(places.get(argument, argument) for argument in arguments))
    assert str(refused.value) == (
        f"{older} was compiled for instruction set {ISA_VERSION - 1}, this version of open DNA has "
        f"{ISA_VERSION}; recompile it with `dna compile {older} --config NAME`"
    )
    assert not list(tmp_path.iterdir())


def test_what_needs_the_graph_goes_on(older, photograph, tmp_path):
    assert invoke("run", older, photograph) == 0
    assert invoke("compare", older, photograph) == 0
    assert invoke("compile", older, "--config", "nano", "-o", tmp_path / "again") == 0
    assert artifact.load(tmp_path / "again").program is not None
    assert invoke("report", tmp_path / "again", "--json", tmp_path / "report.json") == 0
