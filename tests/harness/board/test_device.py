"""The driver's side of a board: start, upload, resume, faults."""

import numpy as np
import pytest

from harness.board.addresses import MEMORY, REGISTERS
from harness.board.device import BoardMachine
from harness.board.journal import BLOCK
from hw.bus import registers
from sw.errors import DnaError
from tests.support.fake_board import CSR, DESCRIPTION, FakeBoard

CONTENT = np.random.default_rng(1).integers(0, 256, 3 * BLOCK + 100, dtype=np.uint8)


def opened(link=None):
    return BoardMachine(link or FakeBoard(), DESCRIPTION)


def memory_of(link, offset, length):
    words = [
        link.words.get(MEMORY + 4 * at, 0) for at in range(offset // 4, (offset + length) // 4)
    ]
    return np.array(words, "<u4").view(np.uint8)


def test_the_memory_is_started_once_and_tested():
    link = FakeBoard()
    opened(link)
    started = [(address, value) for address, value in link.order if address in CSR.values()]
    control, issue = CSR["sdram_dfii_control"], CSR["sdram_dfii_pi0_command_issue"]
    assert started[0] == (control, 14)
    assert (CSR["sdram_dfii_pi0_address"], 1024) in started
    assert (CSR["sdram_dfii_pi0_command"], 11) in started
    assert [pair for pair in started if pair[0] == issue] == [(issue, 1)]
    # The controller takes over behind all of that.
    assert [pair for pair in started if pair[0] == control][-1] == (control, 1)
    before = len(link.order)
    opened(link)
    assert len(link.order) == before


def test_bytes_at_any_place_come_back():
    link = FakeBoard()
    machine = opened(link)
    machine.write(0, CONTENT)
    assert np.array_equal(machine.read(0, len(CONTENT)), CONTENT)
    machine.write(5, b"abc")
    changed = CONTENT.copy()
    changed[5:8] = np.frombuffer(b"abc", np.uint8)
    assert np.array_equal(machine.read(0, len(CONTENT)), changed)
    assert np.array_equal(memory_of(link, 0, BLOCK), changed[:BLOCK])


def test_a_simulation_takes_what_fills_blocks_at_once():
    link, put = FakeBoard(), []
    machine = BoardMachine(link, DESCRIPTION, preload=lambda *what: put.append(what))
    before = link.written
    machine.write(BLOCK, CONTENT)
    assert put == [(BLOCK, CONTENT.tobytes())]
    assert link.written == before
    machine.write(3, b"abc")
    assert machine.read(3, 3).tobytes() == b"abc"
    assert len(put) == 1


def test_what_is_there_is_not_sent_again():
    link = FakeBoard()
    opened(link).write(BLOCK, CONTENT)
    before = link.written
    machine = opened(link)
    machine.write(BLOCK, CONTENT)
    assert link.written == before
    # A byte of one block, then the same content: that block alone.
    machine.write(2 * BLOCK + 7, b"?")
    machine.write(BLOCK, CONTENT)
    assert np.array_equal(machine.read(BLOCK, len(CONTENT)), CONTENT)
    assert link.written - before < 1.1 * BLOCK / 4


def test_what_a_run_may_have_changed_is_sent_again():
    link = FakeBoard()
    machine = opened(link)
    machine.write(BLOCK, CONTENT)
    machine.csr_write("write_base", 2 * BLOCK)
    machine.csr_write("write_size", BLOCK)
    machine.csr_write("control", registers.CONTROL_START)
    link.words[MEMORY + 2 * BLOCK] = 0xDEAD
    before = link.written
    machine.write(BLOCK, CONTENT)
    assert np.array_equal(machine.read(BLOCK, len(CONTENT)), CONTENT)
    assert BLOCK / 4 <= link.written - before < 1.1 * BLOCK / 4


@pytest.mark.parametrize("words", [1, BLOCK // 4 + 300, 2 * BLOCK // 4 + 900])
def test_an_upload_that_was_cut_off_goes_on(words):
    link = FakeBoard()
    machine = opened(link)
    link.cut_after = link.written + words
    with pytest.raises(DnaError, match="the serial port is gone"):
        machine.write(0, CONTENT)
    done = words // (BLOCK // 4)
    link.cut_after, before = None, link.written
    machine = opened(link)
    machine.write(0, CONTENT)
    assert np.array_equal(machine.read(0, len(CONTENT)), CONTENT)
    assert link.written - before <= (len(CONTENT) - done * BLOCK) / 4 + 20


def test_a_board_that_was_reset_believes_nothing():
    link = FakeBoard()
    opened(link).write(0, CONTENT)
    link.words[CSR["ctrl_scratch"]] = 0x12345678
    before = link.written
    machine = opened(link)
    machine.write(0, CONTENT)
    assert link.written - before >= len(CONTENT) / 4
    assert np.array_equal(machine.read(0, len(CONTENT)), CONTENT)


def test_registers_are_words_of_the_bus():
    link = FakeBoard()
    machine = opened(link)
    machine.csr_write("window_size", 77)
    assert link.words[REGISTERS + registers.BY_NAME["window_size"].offset] == 77
    assert machine.csr_read("window_size") == 77
    assert machine.csr_read(registers.BY_NAME["window_size"].offset) == 77


def test_a_program_that_does_not_end_is_given_up():
    link = FakeBoard()
    machine = opened(link)
    status = REGISTERS + registers.BY_NAME["status"].offset
    link.words[status] = registers.STATUS_BUSY
    told = []
    with pytest.raises(DnaError, match="no interrupt in 100000 cycles"):
        machine.run_to_interrupt(100_000, told.append)
    assert told
    link.words[status] = 0
    link.words[REGISTERS + registers.BY_NAME["cycles_low"].offset] = 1234
    assert machine.run_to_interrupt(100_000) == 1234


def test_a_board_that_is_not_there():
    link = FakeBoard()
    link.silent = True
    with pytest.raises(DnaError, match="the board does not answer: 0 of 4 bytes"):
        opened(link)


def test_another_bitstream():
    link = FakeBoard()
    link.words[CSR["ctrl_scratch"]] = 0
    with pytest.raises(DnaError, match="0x00000000 where a SoC of `dna soc` has 0x12345678"):
        opened(link)


def test_a_memory_with_a_broken_bit():
    link = FakeBoard()
    link.stuck = 1 << 9
    with pytest.raises(DnaError, match="SDRAM's test failed at byte 0x"):
        opened(link)


def test_a_link_that_loses_bits_later():
    link = FakeBoard()
    machine = opened(link)
    link.stuck = 1 << 9
    with pytest.raises(DnaError, match="came back otherwise"):
        machine.write(0, CONTENT)
