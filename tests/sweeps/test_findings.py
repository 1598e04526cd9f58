"""What the sweeps found stays mended, and what they find is kept."""

import dataclasses
import json

import numpy as np
import pytest

from sim.memory.model import MemoryModel
from sim.memory.stalls import Stalls
from sw.errors import DnaError
from tests.sweeps import findings
from tests.sweeps.findings import Finding
from tests.sweeps.fuzz_cases import Failure, draw
from tests.sweeps.kept import again, kept
from tests.sweeps.machines import machines


@pytest.mark.parametrize("path", kept(), ids=lambda path: path.stem)
def test_what_was_found_is_mended(path):
    """Values as the reference computes them, cycles as the model predicts them."""
    found = findings.load(path)
    # Only nano is compiled for the tests in any case.
    assert again(found, "cxxrtl" if found.machine.name == "nano" else "pysim") is None


def test_what_is_not_mended_is_said():
    found = findings.load(kept()[0])
    broken = dataclasses.replace(found.case.memory, errors=(range(1 << 20),))
    case = dataclasses.replace(found.case, memory=broken)
    failure = again(dataclasses.replace(found, case=case), "pysim")
    assert failure.kind == "BUS_READ"


def test_a_finding_is_the_case_that_it_was(tmp_path):
    for number in range(10):
        case = draw(9, number)
        calm = MemoryModel(latency=7, bandwidth=0.25, reorder=True, stalls=Stalls(0.1, 1 << 31))
        machine = machines(9)["random1"]
        finding = Finding(
            sweep="fuzz",
            seed=9,
            number=number,
            machine=machine,
            failure=Failure("mismatch", "3 values differ"),
            case=dataclasses.replace(case, memory=calm),
        )
        path = findings.keep(finding, tmp_path / "new")
        assert path.name == f"fuzz-9-{number}-random1.json"
        again = findings.load(path)
        assert (again.sweep, again.seed, again.number) == ("fuzz", 9, number)
        assert (again.machine, again.failure) == (machine, finding.failure)
        assert again.command == f"python -m tests.sweeps.fuzz --case 9:{number} --config random1"
        assert str(again.case) == str(finding.case)
        assert np.array_equal(again.case.image, case.image)
        assert again.case.image.dtype == np.int8
        ours, its = case.graph, again.case.graph
        for operation in its.operations:
            assert operation == ours.find(operation.name)
        for name, values in its.constants.items():
            assert np.array_equal(values, ours.constants[name])
            assert values.dtype == ours.constants[name].dtype


def test_a_file_that_is_none_is_named(tmp_path):
    path = tmp_path / "other.json"
    path.write_text(json.dumps({"sweep": "fuzz"}))
    with pytest.raises(DnaError, match=r"other\.json is no finding: .*seed"):
        findings.load(path)
