"""The DRAM in time: what each number of the data sheet does, counted by hand in clocks."""

import dataclasses

import pytest

from hw.config import PRESETS as MACHINES
from sim.memory.bandwidth import effective_bandwidth
from sim.memory.dram import INTERLEAVE_BYTES, WRITE_HIGH, Dram
from sim.memory.model import MemoryModel
from sim.memory.ports import MemoryPorts
from sim.memory.presets import IDEAL, PRESETS, names, preset
from sim.memory.stalls import Stalls
from sw.errors import DnaError

# One cycle of the machine is one clock of the memory, so cycles are clocks; all numbers differ.
TINY = Dram(
    name="tiny",
    channels=1,
    width=64,
    beats=8,
    groups=2,
    banks=4,
    page_bytes=256,
    clock_ps=1000,
    burst_clocks=4,
    read_clocks=11,
    write_clocks=9,
    t_rcd=13_000,
    t_rp=12_000,
    t_ras=35_000,
    t_rc=47_000,
    t_ccd_s=4_000,
    t_ccd_l=6_000,
    t_rrd_s=5_000,
    t_rrd_l=7_000,
    t_faw=60_000,
    t_wr=15_000,
    t_rtp=8_000,
    t_wtr_s=3_000,
    t_wtr_l=10_000,
    t_rfc=300_000,
    t_refi=5_000_000,
    source="made up",
)
LATENCY = 2
BURST = TINY.burst_bytes
SAME_GROUP = BURST * TINY.groups  # the next column
SAME_BANK = TINY.page_bytes * TINY.banks  # the next row
OTHER_BANK = TINY.page_bytes * TINY.groups  # of the same group
OPEN = 13 + 11 + 4  # a row, a read, its data
# A request of cycle 0 is handed over in cycle LATENCY; its first command goes out in that clock,
# and the word is there in the cycle that begins when the data end.


class Port:
    """One port of 64 bytes: a burst of the memory is a word."""

    def __init__(self, word=BURST, ports=1, **changes):
        self.model = MemoryModel(
            latency=LATENCY, dram=dataclasses.replace(TINY, **changes), cycle_ps=1000
        )
        self.ports = MemoryPorts(self.model, ports=ports, readers=4, word_bytes=word)
        self.count = ports
        self.cycle = 0
        self.reads = []  # (cycle, address)
        self.answers = []  # cycles
        self.words = 0

    def run(self, cycles, ready=True):
        for _ in range(cycles):
            for number, state in enumerate(self.ports.offer()):
                if state.rvalid and ready:
                    self.reads.append((self.cycle, state.raddress))
                if state.bvalid:
                    self.answers.append(self.cycle)
                if self.words and state.wready and number == 0:
                    self.ports.write_word(0)
                    self.words -= 1
                self.ports.take(number, rready=ready, bready=True)
            self.cycle += 1

    def read(self, *addresses, port=0, words=1):
        """Ask in this cycle, before it is over."""
        self.ports.offer()
        for address in addresses:
            self.ports.read(port, 0, address, words)
        for number in range(self.count):
            self.ports.take(number, rready=True, bready=True)
        self.cycle += 1

    def write(self, address, words):
        self.ports.write(0, address, words)
        self.words += words


def times(*addresses, **changes):
    """Cycles from the first command to each word."""
    port = Port(**changes)
    port.read(*addresses)
    port.run(2000)
    assert [address for _, address in port.reads] == list(addresses)
    return [cycle - LATENCY for cycle, _ in port.reads]


def test_a_read_of_a_closed_bank_and_of_an_open_row():
    assert times(0) == [OPEN]
    assert times(0, SAME_GROUP) == [OPEN, OPEN + 6]
    # The other group's row is opened in the clock after; its read waits for nobody.
    first, second = times(0, BURST)
    assert (first, second) == (OPEN, OPEN + 5)


def test_another_row_of_the_same_bank():
    # tRAS, tRP and tRCD, or tRC and tRCD, whichever is longer; then the read.
    assert times(0, SAME_BANK) == [OPEN, 47 + OPEN]
    assert times(0, SAME_BANK, t_rc=50_000) == [OPEN, 50 + OPEN]
    # A late read keeps the row open: tRTP.
    assert times(0, SAME_BANK, t_ras=20_000, t_rc=32_000) == [OPEN, 13 + 8 + 12 + OPEN]


def test_activates_keep_their_distance():
    assert times(0, OTHER_BANK) == [OPEN, 7 + OPEN]
    wide = {"banks": 16, "groups": 8}
    addresses = [BURST * group for group in range(5)]
    assert times(*addresses, **wide) == [OPEN + n for n in (0, 5, 10, 15, 60)]


def test_in_order_an_access_comes_to_another_bank_some_clocks_after_the_one_before():
    # Then tRCD as ever; what hits another open row waits for its turn, too.
    assert times(0, BURST, turn_clocks=9) == [OPEN, OPEN + 9 + 13]
    assert times(0, SAME_GROUP, BURST, turn_clocks=9) == [OPEN, OPEN + 6, OPEN + 6 + 9 + 13]
    assert times(0, BURST, 0, turn_clocks=9) == [OPEN, OPEN + 9 + 13, OPEN + 9 + 13 + 9]
    # In the same bank nothing waits, and nothing overtakes.
    assert times(0, SAME_BANK, SAME_GROUP, turn_clocks=9) == [OPEN, 47 + OPEN, 94 + OPEN]


def test_in_order_a_write_waits_for_no_other_and_goes_before_a_later_read():
    port = Port(turn_clocks=9)
    port.write(0, 1)
    port.run(1)
    port.read(SAME_GROUP)
    port.run(300)
    # The row, the write, from whose end tWTR passes, the read.
    assert port.reads[0][0] - LATENCY == 13 + 9 + 4 + 10 + 11 + 4


def test_the_oldest_hit_goes_before_an_older_miss():
    port = Port()
    port.read(0, SAME_BANK, SAME_GROUP)
    port.run(300)
    # In the order of the requests all the same; the hit was sent before the row was closed.
    when = [cycle - LATENCY for cycle, _ in port.reads]
    assert when == [OPEN, 47 + OPEN, 47 + OPEN + 1]


def test_all_banks_are_refreshed():
    port = Port()
    port.run(4990)
    port.read(0)
    port.run(1000)
    # Its row is open when the refresh is due: it is closed (tRAS, tRP), and opened again after.
    assert port.reads[0][0] == 4990 + LATENCY + 35 + 12 + 300 + OPEN
    port = Port()
    port.run(4999)
    port.read(0)
    port.run(1000)
    assert port.reads[0][0] == 5000 + 300 + OPEN


def test_a_write_is_acknowledged_at_once_and_reads_wait_for_it():
    port = Port()
    port.write(0, 1)
    port.run(100)
    assert port.answers == [LATENCY]
    # Written after 13 + 9 + 4 clocks; the row may be closed 15 later.
    port = Port()
    port.write(0, 1)
    port.run(LATENCY + 2)
    handed = port.cycle
    port.read(SAME_BANK)
    port.run(400)
    assert port.reads[0][0] - handed <= 13 + 9 + 4 + 15 + 12 + OPEN
    assert port.reads[0][0] - handed >= 9 + 4 + 15 + 12 + OPEN


@pytest.mark.parametrize(("address", "wait"), [(SAME_GROUP, 10), (BURST, 3)])
def test_from_a_write_to_a_read(address, wait):
    port = Port()
    port.read(0, BURST)  # both rows are open now
    port.run(100)
    begin = port.cycle
    port.write(0, 1)
    port.run(LATENCY + 2)
    port.read(address)
    port.run(100)
    assert port.reads[-1][0] == begin + LATENCY + 9 + 4 + wait + 11 + 4


def test_writes_wait_while_there_are_reads():
    port = Port()
    port.write(0, WRITE_HIGH // 2)
    port.ports.read(0, 0, 1 << 16, 64)
    port.run(2000)
    alone = Port()
    alone.ports.read(0, 0, 1 << 16, 64)
    alone.run(2000)
    assert [cycle for cycle, _ in port.reads] == [cycle for cycle, _ in alone.reads]
    assert len(port.answers) == 1


def test_words_smaller_and_larger_than_a_burst():
    small, large = Port(word=8), Port(word=128)
    small.read(0, words=16)
    small.run(100)
    first = small.reads[0][0]
    assert [cycle for cycle, _ in small.reads[:8]] == list(range(first, first + 8))
    assert [address for _, address in small.reads] == list(range(0, 128, 8))
    large.read(0, words=1)
    large.run(100)
    assert large.reads == [(LATENCY + OPEN + 5, 0)]


def test_ports_share_the_memory_and_channels_do_not():
    def last(ports, channels):
        port = Port(ports=ports, channels=channels, page_bytes=8192)
        port.ports.offer()
        for number in range(ports):
            port.ports.read(number, 0, number * INTERLEAVE_BYTES, 4)
            for other in range(1, 16):
                at = (ports * other + number) * INTERLEAVE_BYTES
                port.ports.read(number, 0, at, 4)
        for number in range(ports):
            port.ports.take(number, rready=True, bready=True)
        port.run(3000)
        assert len(port.reads) == 64 * ports
        return port.reads[-1][0]

    one = last(1, 1)
    assert one == pytest.approx(64 * 4, rel=0.25)
    assert last(2, 1) == pytest.approx(2 * one, rel=0.15)
    assert last(2, 2) == pytest.approx(one, rel=0.15)


@pytest.mark.parametrize("name", list(PRESETS))
def test_a_stream_gets_most_of_the_peak(name):
    """All but refresh and changes of row, of a path that is wider than the memory."""
    memory = MemoryModel.named(name, 300)
    config = MACHINES["f200"]
    part = effective_bandwidth(memory, config) * config.dram_bytes_per_cycle
    peak = memory.peak_bytes(config.dram_bytes_per_cycle)
    refresh = PRESETS[name].t_rfc / PRESETS[name].t_refi
    assert 0.85 * (1 - refresh) < part / peak <= 1 - 0.8 * refresh
    nano = MACHINES["nano"]
    width = nano.dram_bytes_per_cycle
    assert effective_bandwidth(memory, nano) > 0.5 * memory.peak_bytes(width) / width


def test_names():
    assert names()[0] == IDEAL and MemoryModel.named(IDEAL, 300) == MemoryModel()
    two = preset("2xddr4-2400x64")
    assert two.gigabytes_per_second == 2 * preset("ddr4-2400x64").gigabytes_per_second
    assert two.gigabytes_per_second == pytest.approx(38.4, rel=1e-3)
    assert preset("lpddr5-6400x64").gigabytes_per_second == pytest.approx(51.2)
    assert preset("hbm2-channel").gigabytes_per_second == pytest.approx(32)
    for wrong in ("ddr5", "3xddr4-2400x64", "2xideal", ""):
        with pytest.raises(DnaError, match=f"no memory '{wrong}'"):
            preset(wrong)


def test_clocks_round_as_the_standard_says():
    dram = preset("ddr4-2400x64")
    assert [dram.clocks(ps) for ps in (14_160, 5_000, 7_500, 21_000)] == [17, 6, 9, 26]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t_rcd": 0}, "t_rcd of a DRAM must be at least 1, not 0"),
        ({"banks": 3}, "banks of a DRAM must be a power of two, not 3"),
        ({"groups": 8}, "banks of a DRAM must be from groups to 64, not 4"),
        ({"page_bytes": 32}, "a burst of 64 bytes must fit a row"),
    ],
)
def test_impossible_memories(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(TINY, **change)


def test_a_dram_needs_a_clock_and_has_its_own_bandwidth():
    for change in ({"cycle_ps": 0}, {"bandwidth": 0.5}):
        with pytest.raises(ValueError, match="tiny needs the period of a clock"):
            MemoryModel(**{"dram": TINY, "cycle_ps": 1000, **change})


def test_random_stalls_change_no_order():
    model = MemoryModel(latency=LATENCY, dram=TINY, cycle_ps=1000, stalls=Stalls(0.5, 3))
    ports = MemoryPorts(model, ports=1, readers=4, word_bytes=8)
    ports.read(0, 1, 0, 16)
    ports.read(0, 2, 4096, 16)
    seen = []
    for _ in range(400):
        (state,) = ports.offer()
        if state.rvalid:
            seen.append((state.rid, state.raddress))
        ports.take(0, rready=True, bready=True)
    assert seen == [(1, 8 * n) for n in range(16)] + [(2, 4096 + 8 * n) for n in range(16)]
