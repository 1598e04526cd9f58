import re
import shutil
import subprocess

import pytest
from click.testing import CliRunner

from harness.cli import dna
from harness.hardware.driver import headers
from sw import artifact
from sw.errors import DnaError
from tests.support.tiny import save_artifact


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pack")
    path = folder / "tiny.nano"
    network = save_artifact(folder / "tiny")
    invoke("compile", network, "--config", "nano", "--images", "2", "-o", path)
    return path


def invoke(*arguments):
    result = CliRunner().invoke(dna, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0
    return result.output


@pytest.mark.parametrize("batch", [False, True])
def test_program_and_weights_are_where_the_header_says(compiled, tmp_path, batch):
    printed = invoke("pack", compiled, "-o", tmp_path, *["--batch"][:batch])
    program = (artifact.batch_of if batch else artifact.program_of)(
        artifact.load(compiled), compiled
    )
    memory = (tmp_path / headers.MEMORY).read_bytes()
    header = (tmp_path / headers.PROGRAM).read_text()
    offset = int(re.search(r"\.program_offset = (\d+)u", header)[1])
    assert memory[offset : offset + len(program.code)] == program.code
    place = program.memory.weights
    assert memory[place.offset : place.offset + place.length] == program.weights
    assert len(memory) == max(program.memory.program.end, place.end)
    assert f".images = {2 if batch else 1}u" in header
    assert f"{2} images a run on nano" in printed or not batch
    assert "tiny.nano for nano" in header


def test_the_header_is_c(compiled, tmp_path):
    invoke("pack", compiled, "-o", tmp_path)
    for name in headers.SOURCES:
        (tmp_path / name).write_text(headers.source(name))
    (tmp_path / headers.REGISTERS).write_text(headers.registers_header())
    (tmp_path / "main.c").write_text(
        '#include "dna_program.h"\nint main(void) { return dna_program.images != 1; }\n'
    )
    strict = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    subprocess.run(
        [shutil.which("gcc"), *strict, "-o", "main", "main.c", "dna_driver.c"],
        cwd=tmp_path,
        check=True,
    )
    subprocess.run([tmp_path / "main"], check=True)


def test_a_network_without_a_program(tmp_path):
    network = save_artifact(tmp_path / "tiny")
    with pytest.raises(DnaError, match="compile"):
        invoke("pack", network, "-o", tmp_path / "out")


def test_a_folder_that_cannot_be(compiled, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DnaError, match="cannot make the directory"):
        invoke("pack", compiled, "-o", tmp_path / "file" / "out")
