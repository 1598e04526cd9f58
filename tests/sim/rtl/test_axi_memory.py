"""The memory behind the bus, driven by hand; the compiled one is held to it in test_machine.py."""

import itertools

import numpy as np
import pytest

from hw.bus.axi_codes import Response
from hw.config import PRESETS
from sim.memory.model import BASE, MemoryModel
from sim.memory.ports import MemoryPorts
from sim.memory.stalls import Stalls
from sim.rtl.axi_memory import AxiMemory, BusError

CONFIG = PRESETS["nano"]
WORD = CONFIG.port_bytes
SIZE = 16384


class Bus:
    """A manager that asks for one burst after the other and takes note of every answer."""

    def __init__(self, **model):
        content = np.random.default_rng(0).integers(0, 256, SIZE, np.uint8)
        self.content = content
        behaviour = MemoryModel(**model)
        self.time = MemoryPorts(behaviour, ports=1, readers=4, word_bytes=WORD)
        self.memory = AxiMemory(behaviour, content, self.time, config=CONFIG)
        self.cycle = 0
        self.requests = []  # (channel, address, words, identifier), in order
        self.words = []  # (data, strobes, last)
        self.pins = {"rready": 1, "bready": 1}
        self.accepted = []  # cycles
        self.reads = []  # (cycle, identifier, word, response, last)
        self.answers = []  # (cycle, identifier, response)

    def ask(self, channel, offset, words, identifier=0):
        self.requests.append((channel, BASE + offset, words, identifier))

    def send(self, words, strobes=0xFF):
        self.words += [(word, strobes, i == len(words) - 1) for i, word in enumerate(words)]

    def run(self, cycles, **override):
        for _ in range(cycles):
            self._cycle(override)

    def _cycle(self, override):
        pins = {**self.pins, "arvalid": 0, "awvalid": 0, "wvalid": bool(self.words)}
        for channel in ("ar", "aw"):
            pins |= {f"{channel}size": 3, f"{channel}burst": 1}
            pins |= {f"{channel}addr": 0, f"{channel}len": 0, f"{channel}id": 0}
        if self.requests:
            channel, address, words, identifier = self.requests[0]
            pins |= {f"{channel}valid": 1, f"{channel}addr": address}
            pins |= {f"{channel}len": words - 1, f"{channel}id": identifier}
        pins |= dict(zip(("wdata", "wstrb", "wlast"), (self.words or [(0, 0, 0)])[0], strict=True))
        pins |= override
        offered = self.memory.offer(self.time.offer())
        driven = {name.removeprefix("m_axi_"): value for name, value in offered.items()}
        self.driven = driven
        self.memory.observe({f"m_axi_{k}": v for k, v in {**pins, **driven}.items()})
        if self.requests and pins[f"{channel}valid"] and driven[f"{channel}ready"]:
            self.requests.pop(0)
            self.accepted.append(self.cycle)
        if pins["wvalid"] and driven["wready"]:
            self.words.pop(0)
        if driven["rvalid"] and pins["rready"]:
            fields = (driven[name] for name in ("rid", "rdata", "rresp", "rlast"))
            self.reads.append((self.cycle, *fields))
        if driven["bvalid"] and pins["bready"]:
            self.answers.append((self.cycle, driven["bid"], driven["bresp"]))
        self.cycle += 1

    def word(self, offset):
        return int.from_bytes(self.content[offset : offset + WORD].tobytes(), "little")


def test_a_read_takes_the_latency_and_then_a_word_a_cycle():
    bus = Bus(latency=10)
    bus.ask("ar", 64, 4, 2)
    bus.run(20)
    assert bus.accepted == [0]
    assert bus.reads == [(10 + i, 2, bus.word(64 + 8 * i), Response.OKAY, i == 3) for i in range(4)]


def test_a_write_is_acknowledged_after_the_latency():
    bus = Bus(latency=10)
    bus.ask("aw", 64, 3)
    bus.send([1, 2, 3])
    bus.run(20)
    assert [bus.word(64 + 8 * i) for i in range(3)] == [1, 2, 3]
    # Address in cycle 0, words in 1 to 3.
    assert bus.answers == [(13, 0, Response.OKAY)]


def test_only_strobed_bytes_are_written():
    bus = Bus()
    before = bus.word(0)
    bus.ask("aw", 0, 1)
    bus.send([0x1122334455667788], strobes=0b10100001)
    bus.run(4)
    assert bus.word(0) == before & ~0xFF00FF00000000FF | 0x1100330000000088


@pytest.mark.parametrize(("bandwidth", "cycles"), [(1.0, 48), (0.5, 96), (0.3, 160)])
def test_bandwidth_is_exact_and_shared(bandwidth, cycles):
    bus = Bus(latency=1, bandwidth=bandwidth)
    for burst in range(2):
        bus.ask("ar", 128 * burst, 16)
    bus.ask("aw", 4096, 16)
    bus.send(list(range(16)))
    bus.run(cycles + 10)
    last = max(bus.reads[-1][0], bus.answers[-1][0])
    assert len(bus.reads) == 32 and len(bus.answers) == 1
    assert cycles - 4 <= last <= cycles + 6


def test_without_reordering_the_order_is_that_of_the_requests():
    bus = Bus(latency=3)
    for identifier in (2, 0, 1, 0):
        bus.ask("ar", 512 * identifier, 4, identifier)
    bus.run(40)
    assert [identifier for _, identifier, *_ in bus.reads] == [2] * 4 + [0] * 4 + [1] * 4 + [0] * 4


def test_reordering_keeps_the_order_of_each_identifier():
    bus = Bus(latency=30, reorder=True)
    for burst in range(12):
        bus.ask("ar", 128 * burst, 16, burst % 3)
    bus.run(300)
    identifiers = [identifier for _, identifier, *_ in bus.reads]
    switches = sum(a != b for a, b in itertools.pairwise(identifiers))
    assert switches > 50  # also in the middle of bursts
    for identifier in range(3):
        words = [word for _, found, word, *_ in bus.reads if found == identifier]
        bursts = range(identifier, 12, 3)
        assert words == [bus.word(128 * burst + 8 * i) for burst in bursts for i in range(16)]
        lasts = [last for _, found, _, _, last in bus.reads if found == identifier]
        assert lasts == ([0] * 15 + [1]) * 4


def test_errors_answer_slverr_and_outside_answers_decerr():
    bus = Bus(latency=1, errors=(range(70, 80), range(4096, 4097)))
    bus.ask("ar", 56, 5)
    bus.ask("ar", SIZE, 1)
    bus.ask("ar", -8, 1)
    bus.run(20)
    okay, slverr, decerr = Response.OKAY, Response.SLVERR, Response.DECERR
    responses = [response for *_, response, _ in bus.reads]
    assert responses == [okay, slverr, slverr, okay, okay, decerr, decerr]

    before = bus.content.copy()
    bus.ask("aw", 4096, 2)
    bus.send([1, 2])
    bus.ask("aw", SIZE, 1)
    bus.send([3])
    bus.run(20)
    assert [response for *_, response in bus.answers] == [slverr, decerr]
    assert np.array_equal(np.flatnonzero(bus.content[:4104] != before[:4104]), [])
    assert bus.word(4104) == 2


def test_stalls_hold_every_channel_back_and_repeat():
    def times(seed):
        bus = Bus(latency=5, stalls=Stalls(0.5, seed))
        for burst in range(6):
            bus.ask("ar", 128 * burst, 4)
            bus.ask("aw", 4096 + 128 * burst, 2)
            bus.send([burst, burst])
        bus.run(400)
        assert len(bus.reads) == 24 and len(bus.answers) == 6
        return bus.accepted, [read[0] for read in bus.reads], [answer[0] for answer in bus.answers]

    assert times(1) == times(1)
    assert times(1) != times(2)
    accepted, reads, _ = times(1)
    assert accepted[-1] > 15 and reads[-1] - reads[0] > 35


def test_an_answer_stays_until_it_is_taken():
    bus = Bus(latency=2, reorder=True, stalls=Stalls(0.5, 3))
    bus.ask("ar", 0, 2, 0)
    bus.ask("ar", 64, 2, 1)
    bus.pins["rready"] = 0
    seen = []
    for _ in range(30):
        bus.run(1)
        seen.append(tuple(bus.driven[name] for name in ("rvalid", "rid", "rdata")))
    held = seen[next(i for i, (valid, *_) in enumerate(seen) if valid) :]
    assert len(set(held)) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"araddr": BASE + 4}, "ar is not aligned"),
        ({"araddr": BASE + 4096 - 8}, "ar crosses 4 KiB"),
        ({"arsize": 2}, "ar is not a burst of whole words"),
        ({"arburst": 2}, "ar is not a burst of whole words"),
    ],
)
def test_broken_reads(change, message):
    bus = Bus()
    bus.ask("ar", 0, 2)
    with pytest.raises(BusError, match=message):
        bus.run(1, **change)


def test_a_word_that_is_last_too_early():
    bus = Bus()
    bus.ask("aw", 0, 3)
    bus.send([1, 2])
    with pytest.raises(BusError, match="wlast"):
        bus.run(5)


@pytest.mark.parametrize(
    ("channel", "change"),
    [
        ("ar", {"araddr": BASE + 8}),
        ("ar", {"arvalid": 0}),
        ("aw", {"awid": 1}),
        ("w", {"wdata": 5}),
        ("w", {"wvalid": 0}),
    ],
)
def test_what_is_offered_must_stay(channel, change):
    bus = Bus(stalls=Stalls(0.9, 1))
    bus.ask("aw" if channel == "w" else channel, 0, 2)
    bus.send([1, 2])
    bus.run(1)
    with pytest.raises(BusError, match=f"^{channel} changed before it was accepted"):
        bus.run(1, **change)
