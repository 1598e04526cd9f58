import pytest
from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.streams.stream_fork import StreamFork
from tests.hw.support.streams import StreamBench

WORD = data.ArrayLayout(8, 1)


class Pair(wiring.Component):
    """A fork whose outputs have names that the bench knows."""

    input: In(stream.Signature(WORD))
    left: Out(stream.Signature(WORD))
    right: Out(stream.Signature(WORD))

    def elaborate(self, platform):
        m = Module()
        m.submodules.fork = fork = StreamFork(WORD, consumers=2)
        wiring.connect(m, wiring.flipped(self.input), fork.input)
        wiring.connect(m, fork.outputs[0], wiring.flipped(self.left))
        wiring.connect(m, fork.outputs[1], wiring.flipped(self.right))
        return m


@pytest.fixture(scope="module")
def bench():
    return StreamBench(Pair())


def run(bench, **options):
    words = [[number] for number in range(40)]
    seen = bench.run(send={"input": words}, receive={"left": 40, "right": 40}, **options)
    assert seen["left"].words == seen["right"].words == words
    return seen


@pytest.mark.parametrize("seed", range(4))
def test_every_consumer_gets_every_word_once(bench, seed):
    seen = run(bench, pace={"input": 0.8, "left": 0.4, "right": 0.6}, seed=seed)
    assert any(a != b for a, b in zip(seen["left"].cycles, seen["right"].cycles, strict=True))


def test_a_word_a_cycle(bench):
    assert run(bench)["left"].cycles == list(range(40))


@pytest.mark.parametrize("consumers", [0, -1, 1.5])
def test_bad_parameters(consumers):
    with pytest.raises(ValueError, match=f"not {consumers!r}"):
        StreamFork(8, consumers=consumers)
