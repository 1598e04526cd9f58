"""The driver and ``dna board run`` over the serial protocol, in front of the machine in RTL."""

import dataclasses
import json

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from harness.board import sources
from harness.board.device import BoardMachine
from harness.board.link import serial_link
from harness.cli import dna
from harness.loadgen import logs
from hw.bus import registers
from hw.config import PRESETS
from sim.driver import Driver
from sim.memory.model import BASE
from sim.reference import ReferenceModel
from sim.rtl.registry import open_simulator
from sw.errors import DnaError
from tests.support.fake_board import DESCRIPTION, FakeBoard
from tests.support.tiny import save_compiled, save_photographs
from tests.sweeps.fuzz_cases import draw

NANO = PRESETS["nano"]
SIDE = 24


class Board(FakeBoard):
    """Its registers and its memory are those of a simulated machine."""

    def __init__(self, machine):
        super().__init__()
        self.machine = machine
        self.words = Words(machine, self.words)

    def close(self):
        """The board stays."""


class Words(dict):
    """Words of the bus."""

    def __init__(self, machine, others):
        super().__init__(others)
        self.machine, self.memory = machine, machine.memory.view("<u4")

    def get(self, address, default=0):
        place = address - DESCRIPTION.registers
        if address >= BASE:
            return int(self.memory[(address - BASE) // 4])
        if 0 <= place < 1024:
            return self.machine.csr_read(place)
        return super().get(address, default)

    def __setitem__(self, address, value):
        place = address - DESCRIPTION.registers
        if address >= BASE:
            self.memory[(address - BASE) // 4] = value
        elif 0 <= place < 1024:
            name = next(r.name for r in registers.REGISTERS if r.offset == place)
            self.machine.csr_write(name, value)
            if (name, value) == ("control", registers.CONTROL_START):
                self.machine.run_to_interrupt(1 << 24)
        else:
            super().__setitem__(address, value)


@pytest.fixture(scope="module")
def simulated():
    with open_simulator(NANO, size=1 << 18) as machine:
        yield machine


@pytest.fixture
def board(simulated):
    simulated.memory[:] = 0
    return Board(simulated)


DESCRIBED = msgspec.structs.replace(DESCRIPTION, memory=BASE)


def test_a_network_has_the_bits_of_the_reference(board):
    case = draw(5, 394)
    driver = Driver(BoardMachine(board, DESCRIBED), case.program(NANO))
    found = driver.run(case.pixels)
    right = ReferenceModel(case.graph).run_all(case.pixels)[case.graph.output]
    assert np.array_equal(found.ravel(), right.ravel())
    assert driver.cycles > 1000


def test_a_program_of_another_configuration(board):
    other = dataclasses.replace(NANO, name="other", weight_fifo_words=2 * NANO.weight_fifo_words)
    with pytest.raises(DnaError, match="the program is for other"):
        Driver(BoardMachine(board, DESCRIBED), draw(5, 394).program(other))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / sources.VERILOG).write_text("module dna_board; endmodule\n")
    text = (tmp_path / sources.VERILOG).read_text()
    described = msgspec.structs.replace(DESCRIBED, verilog=sources.digest(text))
    (tmp_path / sources.DESCRIPTION).write_bytes(msgspec.json.encode(described))
    return tmp_path


def ran(*arguments):
    return CliRunner().invoke(dna, ["board", "run", *map(str, arguments)])


def test_the_command_compares_and_counts(board, folder, monkeypatch):
    monkeypatch.setattr(serial_link, "SerialLink", lambda port, baud: board)
    save_compiled(folder / "tiny", NANO, side=SIDE)
    image = folder / "image.npy"
    np.save(image, np.random.default_rng(0).integers(-128, 128, (SIDE, SIDE, 3), dtype=np.int8))
    result = ran(
        folder / "tiny", image, "--soc", folder, "--port", "x", "--json", folder / "r.json"
    )
    assert result.exit_code == 0, result.output
    assert "0 differ from the functional model" in result.output
    figures = json.loads((folder / "r.json").read_text())
    (found,) = figures["images"]
    assert found["differ"] == 0
    assert found["cycles"] > 1000
    assert not figures["simulated"]


def test_mistakes_are_a_line(folder):
    save_compiled(folder / "tiny", NANO, side=SIDE)
    image = folder / "image.npy"
    np.save(image, np.zeros((SIDE, SIDE, 3), np.int8))
    result = ran(folder / "tiny", image, "--soc", folder)
    assert result.exit_code == 2
    assert "--port PORT, or --simulated" in result.output
    result = ran(folder / "tiny", folder / "none.npy", "--soc", folder, "--port", "/dev/none")
    assert "none.npy" in str(result.exception)  # said before the board is looked for
    for path, message in ((folder / "none", "dna soc"), (folder, "cannot open the serial port")):
        result = ran(folder / "tiny", image, "--soc", path, "--port", "/dev/none")
        assert isinstance(result.exception, DnaError)
        assert message in str(result.exception)
    (folder / sources.VERILOG).write_text("module other; endmodule\n")
    result = ran(folder / "tiny", image, "--soc", folder, "--port", "x")
    assert "is not the file that" in str(result.exception)


@pytest.fixture
def photographs(tmp_path):
    return save_photographs(tmp_path / "photographs", 3)


def test_loadgen_with_the_board_in_the_loop(board, folder, photographs, monkeypatch):
    monkeypatch.setattr(serial_link, "SerialLink", lambda port, baud: board)
    save_compiled(folder / "tiny", NANO, side=SIDE)
    common = [folder / "tiny", "--soc", folder, "--port", "x", "--data-dir", photographs]
    for name, options in (("accuracy", ["--accuracy"]), ("speed", ["--min-duration", "0.1"])):
        result = CliRunner().invoke(
            dna,
            [
                *map(str, ["board", "loadgen", *common, *options]),
                *("-o", str(folder / name), "--json", str(folder / f"{name}.json")),
            ],
            catch_exceptions=False,
        )
        assert result.exit_code == 0, result.output
        figures = json.loads((folder / f"{name}.json").read_text())
        assert figures["timing"] == "board" and figures["differ"] == 0 and figures["valid"]
        assert figures["counter"]["runs"] == figures["images"]
        assert figures["counter"]["p90"] > 1000
        assert "The machine's own counter: " in result.output
        summary = (folder / name / logs.SUMMARY).read_text()
        assert "with the serial port: ulx3s (nano, 50 MHz), 1 Mbaud" in summary
        if name == "accuracy":
            assert figures["values"] == 3 * 10 and "0 differ from the functional" in result.output
            assert figures["images"] == 3
        else:
            assert figures["p90_ms"] > 0
