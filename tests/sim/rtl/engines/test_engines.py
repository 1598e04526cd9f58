"""Registers, bus, memory and recording around a machine without engines, compiled and simulated."""

import dataclasses
import re

import numpy as np
import pytest

from hw import isa
from hw.bus import registers
from hw.config import PRESETS
from hw.isa import Engine
from hw.status import Activity, Fault, waiting
from hw.top import ObservedDna
from sim.memory.model import BASE, MemoryModel
from sim.memory.stalls import Stalls
from sim.rtl import registry
from sim.rtl.axi_memory import BusError
from sim.rtl.design import generate
from sim.rtl.registry import open_simulator
from sim.rtl.vcd import Waves
from sw.errors import DnaError
from tests.sim.rtl.copier import Copier, LargeSkew, SmallSkew

NANO = PRESETS["nano"]
ENGINES = registry.names()
TICKS = {"ns": 1, "fs": 10**6}
"""Of a nanosecond, by the unit of a wave file."""
SIZE = 1 << 15
PROGRAM, SOURCE, TARGET = 4096, 4096 + 192, 16384
HARD = MemoryModel(latency=7, bandwidth=0.3, reorder=True, stalls=Stalls(0.3, 5))


def power_on(engine="cxxrtl", memory=None, *, base=BASE, component=Copier, **options):
    """A machine whose window is its whole memory, and only the second half may be written."""
    machine = open_simulator(NANO, engine, size=SIZE, memory=memory, component=component, **options)
    values = {
        "window_base_low": base & 0xFFFFFFFF,
        "window_base_high": base >> 32,
        "window_size": SIZE,
        "write_base": TARGET,
        "write_size": SIZE - TARGET,
        "program": PROGRAM,
        "interrupt_enable": 3,
        "watchdog": 500,
    }
    for name, value in values.items():
        machine.csr_write(name, value)
    return machine


def start(machine, length, seed=0):
    """Start a sum of three runs of ``length`` words; returns what it should be."""
    runs = np.random.default_rng(seed).integers(0, 1 << 64, (3, length), np.uint64)
    machine.write(PROGRAM, np.array([length, SOURCE], "<u4"))
    machine.write(SOURCE, runs)
    machine.csr_write("control", registers.CONTROL_START)
    return runs.sum(axis=0, dtype=np.uint64)


def result(machine, length):
    return machine.read(TARGET, 8 * length).view(np.uint64)


def run(machine, length, seed=0):
    """Run to the end; returns the cycles that it took."""
    expected = start(machine, length, seed)
    before = machine.memory[:TARGET].copy()
    cycles = machine.run_to_interrupt(100_000)
    assert machine.csr_read("status") == registers.STATUS_DONE
    assert np.array_equal(result(machine, length), expected)
    assert np.array_equal(machine.memory[:TARGET], before)
    assert not machine.memory[TARGET + 8 * length :].any()
    machine.csr_write("interrupt", 3)
    return cycles


def error(machine):
    """The fault that the machine stops with."""
    machine.run_to_interrupt(10_000)
    assert machine.csr_read("status") == registers.STATUS_ERROR
    return Fault(machine.csr_read("error_code")), machine.csr_read("error_address")


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


def test_registers(engine):
    machine = power_on(engine)
    assert machine.csr_read("id") == machine.csr_read(0) == isa.MAGIC
    assert machine.csr_read("version") == isa.ISA_VERSION
    digest = machine.csr_read("config_high") << 32 | machine.csr_read("config_low")
    assert f"{digest:016x}" == NANO.digest
    machine.csr_write("window_size", 0xFEDCBA98)
    assert machine.csr_read("window_size") == 0xFEDCBA98
    assert machine.csr_read("window_base_high") == BASE >> 32
    assert machine.csr_read("status") == 0


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("status", 0, "'status' is not a writable register"),
        ("nonsense", 0, "'nonsense' is not a writable register"),
        ("program", -1, "program = -1 does not fit"),
        ("program", 1 << 32, "does not fit 32 bits"),
    ],
)
def test_bad_register_writes(name, value, message):
    with pytest.raises(ValueError, match=message):
        power_on().csr_write(name, value)


def test_bad_register_read():
    with pytest.raises(ValueError, match="'nonsense' is not a register"):
        power_on().csr_read("nonsense")


@pytest.mark.parametrize(("offset", "length"), [(-1, 4), (SIZE - 3, 4), (SIZE, 1)])
def test_accesses_outside_the_memory(offset, length):
    machine = power_on()
    with pytest.raises(ValueError, match="not inside a memory of 32768 bytes"):
        machine.read(offset, length)
    with pytest.raises(ValueError, match="not inside"):
        machine.write(offset, bytes(length))


def models():
    random = np.random.default_rng(7)
    for seed in range(20):
        yield MemoryModel(
            latency=int(random.integers(1, 200)),
            bandwidth=float(random.uniform(0.1, 1)),
            reorder=bool(random.integers(2)),
            stalls=Stalls(float(random.choice([0, 0.2, 0.7])), seed),
        )


@pytest.mark.parametrize("memory", list(models()), ids=str)
def test_words_are_right_whatever_the_timing(memory):
    machine = power_on(memory=memory)
    machine.csr_write("watchdog", 5000)
    cycles = [run(machine, length, length) for length in (1, 16, 17, 200)]  # back to back
    assert all(machine.csr_read("cycles_low") == cycles[-1] for _ in range(2))


@pytest.mark.parametrize("memory", [MemoryModel(), HARD], ids=["default", "hard"])
def test_engines_agree_on_everything(memory):
    seen = []
    for engine in ENGINES:
        machine = power_on(engine, memory, record_writes=True)
        cycles = [run(machine, length) for length in (3, 60)]
        writes = dataclasses.asdict(machine.feature_writes())
        seen.append((cycles, machine.cycle, machine.counters(), machine.layer_activity(), writes))
    first = seen[0]
    for other in seen[1:]:
        assert first[:3] == other[:3]
        assert np.array_equal(first[3], other[3])
        for name, values in first[4].items():
            assert np.array_equal(values, other[4][name])
            assert values.dtype == other[4][name].dtype


def test_slower_memory_takes_longer():
    usual = run(power_on(), 200)
    assert run(power_on(memory=MemoryModel(latency=128)), 200) > usual + 64
    # 800 words cross the bus, whichever way.
    assert 3200 < run(power_on(memory=MemoryModel(bandwidth=0.25)), 200) < 3200 + 500


def test_feature_writes_are_those_of_the_last_program(engine):
    machine = power_on(engine, record_writes=True)
    run(machine, 10, 1)
    run(machine, 20, 2)
    writes = machine.feature_writes()
    assert writes.words.shape == (20, NANO.post_words, NANO.rows)
    # The trace port is narrower than a DRAM word.
    sums = result(machine, 20).astype("<u4").view(np.int8).reshape(writes.words.shape)
    assert np.array_equal(writes.words, sums)
    assert np.array_equal(writes.address, np.arange(20))
    assert (writes.source == Engine.LOAD).all() and (writes.enable == 1).all()
    assert (np.diff(writes.cycle) > 0).all() and writes.cycle[-1] < machine.cycle


def test_feature_writes_are_not_recorded_unasked(engine):
    machine = power_on(engine)
    run(machine, 5)
    assert machine.feature_writes().words.shape == (0, NANO.post_words, NANO.rows)


def test_every_cycle_is_accounted_for(engine):
    machine = power_on(engine, HARD)
    run(machine, 5)
    cycles = run(machine, 40)
    assert machine.csr_read("cycles_low") == cycles
    table, counters = machine.layer_activity(), machine.counters()
    assert table.shape == (len(Engine), 6, len(Activity))
    assert (table.sum(axis=(1, 2)) == cycles).all()
    for who in Engine:
        assert counters[who] == dict(zip(Activity, table[who].sum(axis=0).tolist(), strict=True))
    assert table[Engine.LOAD, :, Activity.BUSY].tolist() == [8, 8, 8, 8, 8, 0]


def test_memory_errors(engine):
    bad = MemoryModel(latency=3, errors=(range(SOURCE + 100, SOURCE + 101), range(TARGET, SIZE)))
    machine = power_on(engine, bad)
    start(machine, 60)
    burst = 8 * NANO.burst_words
    assert error(machine) == (Fault.BUS_READ, (SOURCE + 100) // burst * burst)
    machine.reset()
    start(machine, 4)
    assert error(machine) == (Fault.BUS_WRITE, TARGET)
    assert not machine.memory[TARGET:].any()


def test_where_no_memory_is(engine):
    machine = power_on(engine, base=BASE + SIZE)
    start(machine, 4)
    assert error(machine) == (Fault.BUS_READ, PROGRAM)


def test_reset_after_a_fault_and_in_the_middle(engine):
    machine = power_on(engine, MemoryModel(latency=20, reorder=True))
    machine.csr_write("write_size", 64)
    start(machine, 20)
    assert error(machine) == (Fault.OUT_OF_WINDOW, TARGET)
    machine.reset()
    assert machine.csr_read("status") == 0
    machine.csr_write("write_size", SIZE - TARGET)
    start(machine, 100)
    for _ in range(20):  # some cycles
        machine.csr_read("status")
    machine.reset()
    machine.memory[TARGET:] = 0
    run(machine, 50, 3)


def test_watchdog(engine):
    machine = power_on(engine)
    start(machine, 0)
    code, address = error(machine)
    assert code is Fault.WATCHDOG and waiting(address) == {}


def test_what_is_refused_while_busy_changes_nothing(engine):
    machine = power_on(engine)
    expected = start(machine, 50, 4)
    for name, value in (("control", registers.CONTROL_START), ("program", 0), ("window_size", 0)):
        with pytest.raises(DnaError, match=f"refused to write {name}: SLVERR"):
            machine.csr_write(name, value)
    machine.run_to_interrupt(10_000)
    assert machine.csr_read("status") == registers.STATUS_DONE
    assert np.array_equal(result(machine, 50), expected)


def test_a_register_that_is_not_there(engine):
    with pytest.raises(DnaError, match="no register at 0x3fc: DECERR"):
        power_on(engine).csr_read(0x3FC)


def test_no_interrupt(engine):
    machine = power_on(engine)
    machine.csr_write("watchdog", 0)
    start(machine, 0)
    seen = []
    before = machine.cycle
    with pytest.raises(DnaError, match="no interrupt in 300 cycles"):
        machine.run_to_interrupt(300, seen.append)
    assert machine.cycle == before + 300
    assert all(0 < cycles < 300 for cycles in seen)


def test_progress():
    machine = power_on()
    machine.csr_write("watchdog", 0)
    start(machine, 0)
    seen = []

    def stop(cycles):
        seen.append(cycles)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        machine.run_to_interrupt(1 << 40, stop)
    assert 0 < seen[0] < seen[1]
    machine.reset()
    run(machine, 9)  # nothing is lost


def test_a_window_begins_at_a_multiple_of_4_kib(engine):
    """So no burst crosses one, as bursts are aligned in the window."""
    run(power_on(engine, base=BASE + 0xFFC), 60)


@pytest.mark.parametrize(
    ("component", "message"), [(LargeSkew, "ar crosses 4 KiB"), (SmallSkew, "ar is not aligned")]
)
def test_a_broken_rule_of_the_bus_is_seen(engine, component, message):
    machine = power_on(engine, component=component)
    machine.write(PROGRAM + component.skew, np.array([400, SOURCE], "<u4"))
    machine.csr_write("control", registers.CONTROL_START)
    with pytest.raises(BusError, match=f"{message}, by cycle"):
        machine.run_to_interrupt(10_000)


def test_waves_of_a_module_and_a_window(engine, tmp_path):
    file = tmp_path / "waves.vcd"
    with power_on(engine, waves=Waves(file, 30, 60, ("core.writer",))) as machine:
        run(machine, 10)
    text = file.read_text()
    nanosecond = TICKS[re.search(r"\$timescale\s+1\s*(\ws)", text)[1]]
    assert "axi__0__w__valid" in text and "axi__0__w__payload" in text
    assert "__r__" not in text and "interrupt" not in text
    times = [int(line[1:]) for line in text.splitlines() if line.startswith("#")]
    assert times[0] == 2 * 30 * nanosecond and times == sorted(times)
    assert 2 * 59 * nanosecond <= times[-1] <= 2 * 60 * nanosecond


def test_waves_of_an_unknown_module(engine, tmp_path):
    waves = Waves(tmp_path / "waves.vcd", 0, 30, ("core.nobody",))
    with (
        pytest.raises(DnaError, match=r"no module core\.nobody"),
        power_on(engine, waves=waves) as machine,
    ):
        run(machine, 10)
    assert list(tmp_path.iterdir()) == []


def test_the_whole_machine_settles_at_once():
    """Otherwise every cycle costs several evaluations."""
    assert "bool converged = true;" in generate(ObservedDna(NANO), waves=False).main


def test_a_closed_machine():
    with power_on() as machine:
        pass
    with pytest.raises(ValueError, match="closed"):
        machine.csr_read("id")


def test_an_unknown_engine():
    with pytest.raises(DnaError, match="no engine 'abacus'; choose one of " + ", ".join(ENGINES)):
        power_on("abacus")
