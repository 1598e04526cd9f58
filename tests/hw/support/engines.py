"""Runs an engine against models of the blocks around it, at random paces.

Memories are numpy arrays; a model serves one port of the engine and judges the protocol. Payloads
are plain integers, cut up by :func:`unpack`, because Amaranth's views are slow to simulate.
"""

import random
from collections import Counter, deque

import numpy as np
from amaranth.hdl import Value
from amaranth.sim import Simulator

from hw.status import Activity, Fault


def unpack(bits, *widths):
    """The unsigned fields of ``bits``, lowest first."""
    values = []
    for width in widths:
        values.append(bits & ((1 << width) - 1))
        bits >>= width
    return values


def word_bits(words):
    """int8 [..., channels] as an integer, the first at the bottom."""
    return int.from_bytes(np.ascontiguousarray(words, np.int8).tobytes(), "little")


def bits_words(bits, count, rows):
    """The opposite: int8 [count, rows]."""
    return np.frombuffer(bits.to_bytes(count * rows, "little"), np.int8).reshape(count, rows)


class Feature:
    """The feature memory: int8 [feature_words, rows]."""

    def __init__(self, config, rng):
        self.config = config
        self.words = rng.integers(-128, 128, (config.feature_words, config.rows)).astype(np.int8)
        self.written = np.zeros(config.feature_words, int)


class Model:
    """One stream of the engine, seen from the other side.

    ``drive`` gives what to set before a clock edge and ``observe`` sees the transfer, if any.
    """

    def __init__(self, stream, chance):
        self.signals = tuple(
            Value.cast(signal) for signal in (stream.valid, stream.ready, stream.payload)
        )
        self.width = len(self.signals[2])
        self.chance = chance
        self.cycles = []


class Source(Model):
    """Sends words, those of a list or what another model appends to ``words``."""

    def __init__(self, stream, chance, words=(), latency=0):
        super().__init__(stream, chance)
        self.words = deque((0, word) for word in words)
        self.latency = latency
        self.offered = False

    def push(self, word, cycle):
        self.words.append((cycle + self.latency, word))

    def drive(self, ctx, cycle):
        valid, _, payload = self.signals
        if not self.offered and self.words and self.words[0][0] <= cycle and self.chance():
            self.offered = True
        ctx.set(valid, self.offered)
        # What is not valid must not matter.
        word = self.words[0][1] if self.offered else random.getrandbits(self.width)
        ctx.set(
            payload, word - (word >> (self.width - 1) << self.width) if _signed(payload) else word
        )

    def observe(self, cycle, valid, ready, payload):
        if valid and ready:
            self.words.popleft()
            self.offered = False
            self.cycles.append(cycle)


class Sink(Model):
    """Takes words and gives them to ``take(word, cycle)``; a word on offer must stay as it is."""

    def __init__(self, stream, chance, take):
        super().__init__(stream, chance)
        self.take = take
        self.waiting = None

    def drive(self, ctx, cycle):
        ctx.set(self.signals[1], self.chance())

    def observe(self, cycle, valid, ready, payload):
        assert self.waiting is None or (valid and payload == self.waiting), "changed while waiting"
        self.waiting = payload if valid and not ready else None
        if valid and ready:
            self.cycles.append(cycle)
            self.take(payload, cycle)


def _signed(value):
    return Value.cast(value).shape().signed


class Requests(Sink):
    """Requests to the feature memory, of words that follow each other or are at offsets."""

    def __init__(self, port, chance, take, config):
        super().__init__(port.requests, chance, take)
        self.config = config
        self.offsets = getattr(port, "offsets", None)
        self.seen = None

    def drive(self, ctx, cycle):
        super().drive(ctx, cycle)
        if self.offsets is not None:
            self.seen = ctx.get(Value.cast(self.offsets))

    def places(self, address, enable):
        """Where each word is, None for those that are not enabled."""
        bits, count = self.config.feature_address_bits, self.config.post_words
        offsets = range(count) if self.seen is None else unpack(self.seen, *[bits] * count)
        places = [
            address + offset if enable >> index & 1 else None
            for index, offset in enumerate(offsets)
        ]
        banks = [place % self.config.modules for place in places if place is not None]
        assert len(set(banks)) == len(banks), "two words of one bank"
        return places


def writes(port, feature, chance):
    """Models for a port with ``FeatureWriteSignature``."""
    config = feature.config
    count, rows = config.post_words, config.rows

    def take(bits, cycle):
        address, enable, data = unpack(bits, config.feature_address_bits, count, 8 * rows * count)
        assert enable, "wrote nothing"
        words = bits_words(data, count, rows)
        for place, word in zip(sink.places(address, enable), words, strict=True):
            if place is not None:
                assert place < config.feature_words
                feature.words[place] = word
                feature.written[place] += 1

    sink = Requests(port, chance, take, config)
    return [sink, Pending(port.pending, sink)]


class Pending:
    """Says for ``AFTER`` cycles behind every write that it is not in memory yet."""

    AFTER = 2
    signals = ()

    def __init__(self, pending, sink):
        self.pending, self.sink = pending, sink

    def drive(self, ctx, cycle):
        cycles = self.sink.cycles
        ctx.set(self.pending, bool(cycles) and cycle - cycles[-1] <= self.AFTER)

    def observe(self, cycle):
        pass


def reads(port, feature, chance, latency=2, nothing=False):
    """Models for a port with ``FeatureReadSignature``; words that are not asked for are random.

    With ``nothing``, requests that enable no word are allowed.
    """
    config = feature.config
    count, rows = config.post_words, config.rows
    responses = Source(port.responses, chance, latency=latency)

    def take(bits, cycle):
        address, enable = unpack(bits, config.feature_address_bits, count)
        assert enable or nothing, "read nothing"
        words = np.random.default_rng(cycle).integers(-128, 128, (count, rows)).astype(np.int8)
        for index, place in enumerate(sink.places(address, enable)):
            if place is not None:
                words[index] = feature.words[place]
        responses.push(word_bits(words), cycle)

    sink = Requests(port, chance, take, config)
    return [sink, responses]


class Dram:
    """The memory window: bytes, in DRAM words of ``dram_bytes_per_cycle``."""

    def __init__(self, config, rng, size):
        self.config = config
        self.bytes = rng.integers(0, 256, size).astype(np.uint8)
        self.word = config.dram_bytes_per_cycle
        self.words_read = 0

    def _request(self, bits):
        offset, length = unpack(bits, 32, 32)
        assert offset % self.word == 0 and length, "bad request"
        assert offset + length * self.word <= len(self.bytes), "outside the memory window"
        return range(offset, offset + length * self.word, self.word)

    def reads(self, port, chance, latency=10):
        """Models for a port with ``DramReadSignature``."""
        words = Source(port.words, chance, latency=latency)

        def take(bits, cycle):
            for offset in self._request(bits):
                words.push(word_bits(self.bytes[offset : offset + self.word].view(np.int8)), cycle)
                self.words_read += 1

        return [Sink(port.requests, chance, take), words]

    def writes(self, port, chance, latency=10):
        """Models for a port with ``DramWriteSignature``."""
        offsets, acknowledgements = deque(), Acknowledgements(port.done)

        def take_request(bits, cycle):
            offsets.extend((offset, False) for offset in self._request(bits))
            offsets[-1] = (offsets[-1][0], True)
            take_words(cycle)

        waiting = deque()

        def take_word(bits, cycle):
            waiting.append(bits)
            take_words(cycle)

        def take_words(cycle):
            while waiting and offsets:
                offset, last = offsets.popleft()
                self.bytes[offset : offset + self.word] = np.frombuffer(
                    waiting.popleft().to_bytes(self.word, "little"), np.uint8
                )
                if last:
                    acknowledgements.due.append(cycle + latency)

        return [
            Sink(port.requests, chance, take_request),
            Sink(port.words, chance, take_word),
            acknowledgements,
        ]


class Acknowledgements:
    """Pulses ``done``, one cycle for each write that is due."""

    signals = ()

    def __init__(self, done):
        self.done = done
        self.due = deque()

    def drive(self, ctx, cycle):
        high = bool(self.due) and self.due[0] <= cycle
        if high:
            self.due.popleft()
        ctx.set(self.done, high)

    def observe(self, cycle):
        pass


class Result:
    """What an engine did.

    Attributes:
        done: the cycles in which it reported an instruction.
        activity: cycles of each :class:`Activity`.
        fault: (:class:`Fault`, address), or None.
        cycles: of the whole run.
    """

    def __init__(self):
        self.done = []
        self.activity = Counter()
        self.fault = None
        self.cycles = 0


class EngineBench:
    """An engine in Amaranth's simulator. Building it is slow, so one serves many runs."""

    def __init__(self, dut):
        self.dut = dut
        self._used = False
        self._simulator = Simulator(dut)
        self._simulator.add_clock(1e-6)
        self._simulator.add_testbench(self._testbench)

    def run(self, instructions, models, *, chance=None, limit=20000, surplus=30, cycles=None):
        """Run ``instructions`` to the last ``done`` or to a fault, and ``surplus`` cycles more.

        With ``cycles``, run just that many.

        Returns:
            :class:`Result`.
        """
        words = [int.from_bytes(instruction.encode(), "little") for instruction in instructions]
        source = Source(self.dut.engine.instructions, chance or (lambda: True), words)
        self._expected, self._limit, self._surplus = len(words), limit, surplus
        self._cycles = cycles
        self._models = [source, *models]
        self._result = Result()
        if self._used:
            self._simulator.reset()
        self._used = True
        self._simulator.run()
        assert cycles or self._result.fault or not source.words, "instructions are left"
        return self._result

    async def _testbench(self, ctx):
        result, models = self._result, self._models
        engine = self.dut.engine
        signals = [signal for model in models for signal in model.signals]
        offered = models[0]
        quiet = 0
        while quiet < self._surplus and result.cycles != self._cycles:
            for model in models:
                model.drive(ctx, result.cycles)
            _, _, done, activity, fault, code, address, *values = await ctx.tick().sample(
                engine.done,
                engine.activity,
                engine.fault.valid,
                engine.fault.code,
                engine.fault.address,
                *signals,
            )
            has_instruction = offered.offered
            for model in models:
                taken, values = values[: len(model.signals)], values[len(model.signals) :]
                if taken:
                    taken[2] &= (1 << model.width) - 1
                model.observe(result.cycles, *taken)
            if fault:
                result.fault = (Fault(code), address)
                assert not done
            if done:
                assert not quiet, "one done too many"
                result.done.append(result.cycles)
            result.activity[Activity(activity)] += 1
            if has_instruction and not result.done:
                assert fault or activity != Activity.IDLE
            result.cycles += 1
            quiet += bool(quiet or result.fault or len(result.done) == self._expected)
            assert quiet or result.cycles < self._limit, (
                f"stuck; done {len(result.done)} of {self._expected}, {dict(result.activity)}"
            )


def always():
    """A pace without stalls."""
    return True


def never():
    """A port that is stopped."""
    return False


def paces(rng):
    """A function that gives a pace for a port: never, sometimes or often stalled."""

    def pace():
        chance = rng.choice([1.0, 0.8, 0.3])
        return lambda: bool(rng.random() < chance)

    return pace
