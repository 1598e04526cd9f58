import itertools
import random
from collections import deque
from dataclasses import dataclass, field

import pytest
from amaranth.hdl import Value
from amaranth.sim import Simulator

from hw.config import DnaConfig
from hw.memory.feature_memory import FeatureMemory
from hw.microarchitecture import FEATURE_READ_LATENCY, FEATURE_READS, WINDOW_LATENCY
from hw.status import Fault

G, ROWS, WORDS, SIZE = 4, 4, 2, 64
CONFIG = DnaConfig(
    name="test",
    modules=G,
    rows=ROWS,
    columns=ROWS,
    lanes=ROWS * WORDS,
    accumulation_depth=4,
    dram_bytes_per_cycle=8,
    feature_words=SIZE,
    weight_fifo_words=4,
)
BITS = 8 * ROWS
OFFSETS = (0, 7)
"""Of the words of the scattered ports, which are writer 3 and reader 2 here."""
ADDRESS = 6


@dataclass
class Window:
    addresses: list
    enable: int
    fill: int = 0

    @property
    def bits(self):
        value = self.fill << G | self.enable
        for address in reversed(self.addresses):
            value = value << ADDRESS | address
        return value

    def answer(self, memory):
        """What comes back: of each module the words that it may be."""
        fill = int.from_bytes(bytes([self.fill] * ROWS), "little")
        return [
            set(memory[address]) if self.enable >> module & 1 else {fill}
            for module, address in enumerate(self.addresses)
        ]


@dataclass
class Access:
    """Of words at offsets; a write if there are any words."""

    address: int
    enable: int
    words: list = field(default_factory=list)
    offsets: tuple = tuple(range(WORDS))

    @property
    def bits(self):
        value = 0
        for word in reversed(self.words):
            value = value << BITS | word
        return (value << WORDS | self.enable) << ADDRESS | self.address

    def places(self):
        places = [(i, (self.address + offset) % SIZE) for i, offset in enumerate(self.offsets)]
        return [(i, place) for i, place in places if self.enable >> i & 1]

    @property
    def banks(self):
        return {place % G for _, place in self.places()}

    def answer(self, memory):
        """What comes back: of each lane the words that it may be, None if it does not matter."""
        words = [None] * WORDS
        for i, place in self.places():
            words[i] = set(memory[place])
        return words


def fits(bits, words):
    """Whether an answer is one that may be."""
    return all(
        may is None or (bits >> BITS * i & (1 << BITS) - 1) in may for i, may in enumerate(words)
    )


class Bench:
    """Gives every client its requests and compares every answer with sets of words.

    Of a place that a write is on its way to, either word may come. Two writers may not be on their
    way to one place.
    """

    def __init__(self):
        self.dut = FeatureMemory(CONFIG, readers=2, scattered=True)
        self.simulator = Simulator(self.dut)
        self.simulator.add_clock(1e-6)
        self.simulator.add_testbench(self.testbench)
        self.used = False

    def run(self, requests, *, pace=1.0, blocked=(), cycles=400, seed=0):
        """``requests``: by (kind, index). ``blocked``: readers that are never ready."""
        if self.used:
            self.simulator.reset()
        self.used = True
        self.requests = {key: deque(items) for key, items in requests.items()}
        self.pace, self.blocked, self.cycles = pace, blocked, cycles
        self.random = random.Random(seed)
        self.taken = {key: [] for key in requests}
        self.taken_at = {key: [] for key in requests}
        self.answered = {key: [] for key in requests}
        self.fault = None
        self.simulator.run()
        return self

    async def testbench(self, ctx):
        memory = [{0} for _ in range(SIZE)]
        on_the_way = {key: {} for key in self.requests}
        dut = self.dut
        kinds = {
            "windows": [dut.window],
            "writers": [*dut.writers, dut.scattered_writer],
            "readers": [*dut.readers, dut.scattered_reader],
        }
        for port in (dut.scattered_writer, dut.scattered_reader):
            for word, offset in enumerate(OFFSETS):
                ctx.set(port.offsets[word], offset)
        ports = {(kind, index): kinds[kind][index] for kind, index in self.requests}
        expected = {key: deque() for key in ports}
        offered = dict.fromkeys(ports, False)
        windows = deque([None] * WINDOW_LATENCY)
        for cycle in range(self.cycles):
            signals = []
            for key, port in ports.items():
                queue = self.requests[key]
                offered[key] = bool(queue) and (offered[key] or self.random.random() < self.pace)
                ctx.set(port.requests.valid, offered[key])
                if offered[key]:
                    ctx.set(Value.cast(port.requests.payload), queue[0].bits)
                signals.append(port.requests.ready)
                if key[0] == "windows":
                    signals.append(Value.cast(port.words))
                elif key[0] == "writers":
                    signals.append(port.pending)
                elif key[0] == "readers":
                    ready = key not in self.blocked and self.random.random() < self.pace
                    ctx.set(port.responses.ready, ready)
                    signals += [port.responses.valid, port.responses.ready]
                    signals.append(Value.cast(port.responses.payload))
            fault = self.dut.fault
            values = iter(
                (await ctx.tick().sample(*signals, fault.valid, fault.code, fault.address))[2:]
            )
            for key in ports:
                took = bool(next(values) and offered[key])
                if took:
                    offered[key] = False
                    request = self.requests[key].popleft()
                    self.taken[key].append(request)
                    self.taken_at[key].append(cycle)
                    if key[0] == "windows":
                        windows.append(request.answer(memory))
                    elif key[0] == "readers":
                        expected[key].append((cycle, request, request.answer(memory)))
                    else:
                        for i, place in request.places():
                            others = (p for k, p in on_the_way.items() if k != key)
                            assert not any(place in other for other in others)
                            memory[place].add(request.words[i])
                            on_the_way[key][place] = request.words[i]
                elif key[0] == "windows":
                    windows.append(None)
                if key[0] == "windows":
                    bits, answer = next(values), windows.popleft()
                    if answer is not None:
                        assert fits(bits, answer), key
                        self.answered[key].append(bits)
                elif key[0] == "writers":
                    if not next(values) and not took:
                        for place, word in on_the_way[key].items():
                            memory[place] = {word}
                        on_the_way[key].clear()
                else:
                    valid, ready, bits = next(values), next(values), next(values)
                    if valid:
                        asked, request, answer = expected[key][0]
                        assert cycle >= asked + FEATURE_READ_LATENCY
                        assert fits(bits, answer), key
                        if ready:
                            expected[key].popleft()
                            self.answered[key].append(bits)
            for waiting in expected.values():
                for _, request, answer in waiting:
                    for i, place in request.places():
                        answer[i] |= memory[place]
            failed, code, address = values
            if failed:
                self.fault = (Fault(code), address)
        if not self.blocked:
            assert not any(self.requests.values()), "requests were not taken"
            assert not any(expected.values()) and not any(windows), "answers are missing"
        assert sum(map(len, self.taken.values())), "nothing was checked"


@pytest.fixture(scope="module")
def bench():
    return Bench()


def random_write(draw, low=0, high=SIZE, **more):
    return Access(
        draw.randrange(low, high),
        draw.randrange(1, 1 << WORDS),
        [draw.getrandbits(BITS) for _ in range(WORDS)],
        **more,
    )


def random_window(draw):
    in_banks = [bank + G * draw.randrange(SIZE // G) for bank in range(G)]
    addresses = [draw.choice(in_banks) for _ in range(G)]
    enable = draw.randrange(1 << G)
    for module in range(G):
        if not enable >> module & 1 and draw.random() < 0.5:
            addresses[module] = draw.randrange(SIZE)  # must not matter
    return Window(addresses, enable, draw.getrandbits(8))


def random_read(draw, **more):
    return Access(draw.randrange(SIZE), draw.randrange(1, 1 << WORDS), **more)


@pytest.mark.parametrize("seed", range(6))
def test_random_clients_against_a_list_of_words(bench, seed):
    draw = random.Random(seed)
    requests = {
        ("writers", i): [random_write(draw, 14 * i, 14 * i + 13) for _ in range(60)]
        for i in range(3)
    }
    scattered = {"offsets": OFFSETS}
    requests["writers", 3] = [random_write(draw, 42, 57, **scattered) for _ in range(60)]
    requests["readers", 2] = [random_read(draw, **scattered) for _ in range(60)]
    requests |= {("windows", 0): [random_window(draw) for _ in range(80)]}
    requests |= {("readers", i): [random_read(draw) for _ in range(60)] for i in range(2)}
    run = bench.run(requests, pace=[1.0, 0.7, 0.4][seed % 3], seed=seed, cycles=600)
    assert run.fault is None


def test_a_window_and_a_read_every_cycle(bench):
    draw = random.Random(7)
    windows = [random_window(draw) for _ in range(50)]
    reads = [Access(2 * i % SIZE, 3) for i in range(50)]
    run = bench.run(
        {("windows", 0): windows, ("readers", 1): reads}, cycles=50 + FEATURE_READ_LATENCY
    )
    assert len(run.answered["windows", 0]) == len(run.answered["readers", 1]) == 50


def test_clients_of_different_banks_do_not_wait(bench):
    write = [Access(4 * i % SIZE, 3, [1, 2]) for i in range(30)]  # banks 0 and 1
    read = [Access(4 * i % SIZE + 2, 3) for i in range(30)]  # banks 2 and 3
    bench.run({("writers", 2): write, ("readers", 0): read}, cycles=30 + FEATURE_READ_LATENCY)


def test_a_request_gets_what_is_free_before_the_rest(bench):
    """Banks 0 and 1 all the time, and beside them 1 and 2, or 3 and 0: 0 and 1 take 3 in 2."""
    count = 40
    write = [Access(4 * i % 32, 3, [i, 2]) for i in range(count)]
    read = [Access(32 + (4 * i + 1 + 2 * (i & 1)) % 32, 3) for i in range(count)]
    run = bench.run({("writers", 1): write, ("readers", 1): read}, cycles=2 * count + 20)
    taken = run.taken_at.values()
    assert max(cycles[-1] for cycles in taken) < 1.6 * count


def test_the_first_and_the_last_in_the_order_go_first_in_turn(bench):
    """All want bank 0 all the time; each has two places in front of it."""
    writes = [[Access(start + 4 * i, 1, [i, 0]) for i in range(8)] for start in (0, 32)]
    reads = [Access(4 * i, 1) for i in range(8)]
    requests = {("writers", 0): writes[0], ("writers", 1): writes[1], ("readers", 0): reads}
    first, second, third = bench.run(requests, cycles=40).taken_at.values()
    assert first == [0, 1, *range(2, 14, 2)]
    assert third == [0, 1, *range(3, 15, 2)]
    assert second == [0, 1, *range(18, 24)]


def test_the_words_of_an_access_may_wrap_around_the_banks_and_the_memory(bench):
    places = [3, SIZE - 1]
    writes = [Access(place, 3, [10 + place, 20 + place]) for place in places]
    reads = [Access(place, 3) for place in places]
    # Writers come first in the order, so all is written when it is read.
    run = bench.run({("writers", 0): writes, ("readers", 0): reads[-1:] + reads}, cycles=20)
    assert run.answered["readers", 0][1:] == [
        (10 + place) | (20 + place) << BITS for place in places
    ]


@pytest.mark.parametrize("blocked", [("readers", 0), ("readers", 1)])
def test_a_reader_that_stands_still_blocks_nobody(bench, blocked):
    draw = random.Random(3)
    requests = {("windows", 0): [random_window(draw) for _ in range(20)]}
    requests |= {("readers", i): [random_read(draw) for _ in range(20)] for i in range(2)}
    requests |= {("writers", 0): [random_write(draw) for _ in range(20)]}
    run = bench.run(requests, blocked=[blocked], cycles=200)
    assert {key: len(items) for key, items in run.taken.items()} == {
        key: FEATURE_READS if key == blocked else 20 for key in requests
    }


@pytest.mark.parametrize("modules", list(itertools.combinations(range(G), 2)))
def test_two_words_of_one_bank_are_a_fault(bench, modules):
    one, other = modules
    good = Window([9, 10, 11, 12], 0b1111)
    shared = Window(list(good.addresses), 0b1111)
    shared.addresses[other] = shared.addresses[one]
    bad = Window(list(good.addresses), 1 << one | 1 << other)
    bad.addresses[other] = (bad.addresses[one] + G) % SIZE
    idle = Window(list(bad.addresses), 0b1111 & ~(1 << other))
    run = bench.run({("windows", 0): [good, shared, idle]}, cycles=10)
    assert run.fault is None
    bad.answer = lambda memory: [None] * G
    run = bench.run({("windows", 0): [good, bad, bad, good]}, cycles=10)
    assert run.fault == (Fault.BANK_CONFLICT, bad.addresses[0])


@pytest.mark.parametrize("name", ["writers", "readers"])
def test_bad_parameters(name):
    with pytest.raises(ValueError, match=f"{name} must be a positive integer, not 0"):
        FeatureMemory(CONFIG, **{name: 0})
