"""Every block of hw/ has a test, says what it does, and stands on the page of the machine."""

import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest
from amaranth.lib import wiring

import hw

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "machine.md").read_text()

WITHIN = {
    "hw.arithmetic.float32": "tests/formal/test_float32.py",
    "hw.axi_top": "tests/cocotb/bench_dna_axi.py",
    "hw.bus.burst_address": "tests/hw/bus/test_dma_read.py",
    "hw.bus.burst_splitter": "tests/formal/test_burst_splitter.py",
    "hw.bus.read_queue": "tests/hw/bus/test_dma_read.py",
    "hw.control.checksum": "tests/hw/control/test_instruction_fetch.py",
    "hw.control.watchdog": "tests/hw/bus/test_csr.py",
    "hw.conv.pixel_walker": "tests/hw/conv/test_activation_reader.py",
    "hw.conv.preparation": "tests/hw/conv/test_activation_reader.py",
    "hw.core": "tests/sim/test_driver.py",
    "hw.depthwise.block_walker": "tests/hw/depthwise/test_depthwise_engine.py",
    "hw.depthwise.joint_pixels": "tests/hw/depthwise/test_depthwise_engine.py",
    "hw.depthwise.parameter_rows": "tests/hw/depthwise/test_depthwise_engine.py",
    "hw.depthwise.row_reader": "tests/hw/depthwise/test_depthwise_engine.py",
    "hw.memory.feature_port": "tests/hw/memory/test_feature_memory.py",
    "hw.memory.parameter_memory": "tests/hw/post/test_post_engine.py",
    "hw.pool.group_writer": "tests/hw/pool/test_pool_engine.py",
    "hw.pool.window_walker": "tests/hw/pool/test_pool_engine.py",
    "hw.post.lookup": "tests/hw/post/test_post_engine.py",
    "hw.post.tile_walker": "tests/hw/post/test_post_engine.py",
    "hw.transfer.row_ring": "tests/hw/transfer/test_load.py",
}
"""Parts without a test file of their own: that of the block that they are a part of."""


def blocks():
    """Every class of hw/ that becomes hardware, by the name of its module."""
    found = {}
    for module in pkgutil.walk_packages(hw.__path__, "hw."):
        held = vars(importlib.import_module(module.name)).values()
        made = [
            it
            for it in held
            if inspect.isclass(it)
            and issubclass(it, wiring.Component)
            and it.__module__ == module.name
        ]
        if made:
            found[module.name] = made
    return found


BLOCKS = blocks()


def own_test(name):
    """Where the test of a module belongs."""
    *rooms, file = name.split(".")[1:]
    return Path("tests/hw", *rooms, f"test_{file}.py")


def test_blocks_are_found():
    assert {"hw.control.sequencer", "hw.streams.stream_fork", "hw.top"} <= set(BLOCKS)


@pytest.mark.parametrize("name", BLOCKS)
def test_every_block_has_a_test(name):
    test = own_test(name)
    if name in WITHIN:
        assert not (ROOT / test).exists(), f"{test} is there: take {name} off the list"
        test = Path(WITHIN[name])
    assert (ROOT / test).exists(), f"{name} has no {test}"


@pytest.mark.parametrize("name", BLOCKS)
def test_every_block_says_what_it_does(name):
    for block in BLOCKS[name]:
        if block.__name__.startswith("_"):
            continue
        text = inspect.getdoc(block) or ""
        assert "Ports:" in text, f"{block.__name__}: which ports?"
        assert any(word in text for word in ("Latency", "Rate", "Stall")), (
            f"{block.__name__}: latency, rate, stall rule?"
        )


@pytest.mark.parametrize("name", BLOCKS)
def test_every_block_stands_on_the_page_of_the_machine(name):
    *_, file = name.split(".")
    assert f"{file}.py" in PAGE, f"docs/machine.md does not say what {file}.py does"


def test_the_list_of_parts_holds_no_other():
    assert set(WITHIN) <= set(BLOCKS)


def test_memories_that_are_read_with_the_clock_are_rams():
    """An SRAM macro takes the place of one module, hw/memory/ram.py; FIFOs of a few words aside."""
    for name in BLOCKS:
        source = (ROOT / f"{name.replace('.', '/')}.py").read_text()
        assert "SyncFIFOBuffered" not in source, name
        assert "amaranth.lib.memory" not in source or name == "hw.memory.ram", name
