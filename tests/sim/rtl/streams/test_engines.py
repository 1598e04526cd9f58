"""Both engines on a toy component: the same words in the same cycles, and how they fail."""

import re

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from sim.memory.stalls import NO_STALLS, Stalls
from sim.rtl import library
from sim.rtl.vcd import Waves
from sw.errors import DnaError
from tests.sim.rtl.streams.engines import ENGINES, open_engine
from tests.sim.rtl.streams.interface import Ports, StreamPort
from tests.sim.rtl.streams.toy import LANES, Totals

WIDTH = 40
OFFSET = -3


@pytest.fixture(scope="module", params=ENGINES)
def engine(request):
    return open_engine(request.param, Totals, width=WIDTH)


@pytest.fixture(scope="module")
def packets():
    """Words for the toy, and the totals that it should give by plain arithmetic."""
    rng = np.random.default_rng(5)
    values = rng.integers(0, 256, (120, LANES + 1), dtype=np.uint8)
    last = rng.random(120) < 0.25
    last[-1] = True
    values[:, LANES] = last
    ends = np.flatnonzero(last) + 1
    factors = rng.integers(0, 256, (len(ends), 1), dtype=np.uint8)
    lanes = values[:, :LANES].view(np.int8).astype(int)
    sums = [part.sum() for part in np.split(lanes, ends[:-1])]
    totals = [
        OFFSET + int(f) * int(s) for f, s in zip(factors.view(np.int8).ravel(), sums, strict=True)
    ]
    return {"values": values, "factors": factors}, totals


def run(engine, packets, **options):
    inputs, totals = packets
    return engine.run(inputs, {"totals": len(totals)}, {"offset": OFFSET}, **options)


def signed(words):
    return [int.from_bytes(word.tobytes(), "little", signed=True) for word in words]


def test_ports(engine):
    assert engine.ports == Ports(
        (
            StreamPort("values", is_input=True, width=8 * LANES + 1),
            StreamPort("factors", is_input=True, width=8),
            StreamPort("totals", is_input=False, width=WIDTH),
        ),
        {"offset": 8},
    )


@pytest.mark.parametrize("stalls", [NO_STALLS, Stalls(0.5, 1), Stalls(0.9, 2)])
def test_words(engine, packets, stalls):
    result = run(engine, packets, stalls=stalls)
    assert signed(result.outputs["totals"]) == packets[1]
    for accepted in result.accepted.values():
        assert (np.diff(accepted) > 0).all() and accepted[0] >= 0
    assert result.cycles == result.accepted["totals"][-1] + 1


@pytest.mark.parametrize("stalls", [NO_STALLS, Stalls(0.3, 7), Stalls(0.6, 2**70 + 1)])
def test_engines_agree_on_every_cycle(packets, stalls):
    results = [
        run(open_engine(name, Totals, width=WIDTH), packets, stalls=stalls) for name in ENGINES
    ]
    for other in results[1:]:
        assert other.cycles == results[0].cycles
        for port, accepted in results[0].accepted.items():
            np.testing.assert_array_equal(other.accepted[port], accepted)


def test_stalls_differ_by_seed_and_cost_cycles(engine, packets):
    free = run(engine, packets).cycles
    slow = {run(engine, packets, stalls=Stalls(0.5, seed)).cycles for seed in range(3)}
    assert len(slow) > 1 and min(slow) > free
    assert run(engine, packets).cycles == free


def test_first_words_go_in_the_first_cycle(engine, packets):
    result = run(engine, packets)
    assert result.accepted["values"][0] == 0


def test_deadlock_names_what_waits(engine, packets):
    inputs, totals = packets
    short = {**inputs, "factors": inputs["factors"][:3]}
    with pytest.raises(DnaError) as error:
        engine.run(short, {"totals": len(totals)}, {"offset": 0}, deadlock_cycles=20)
    told = str(error.value)
    assert "no word moved for 20 cycles" in told
    assert "factors: all 3 words done" in told
    assert re.search(r"values: word \d+ of 120 offered, not accepted", told)
    assert f"totals: word 3 of {len(totals)} awaited, not offered" in told


def test_surplus_words_are_an_error(engine, packets):
    inputs, totals = packets
    with pytest.raises(DnaError, match="more words than expected on totals"):
        engine.run(inputs, {"totals": len(totals) - 1}, {"offset": 0})


def test_a_run_after_an_error_starts_afresh(engine, packets):
    inputs, _ = packets
    with pytest.raises(DnaError):
        engine.run(inputs, {"totals": 1}, {"offset": 0}, deadlock_cycles=20)
    assert signed(run(engine, packets).outputs["totals"]) == packets[1]


def test_nothing_to_do(engine):
    empty = {"values": np.zeros((0, LANES + 1), np.uint8), "factors": np.zeros((0, 1), np.uint8)}
    assert engine.run(empty, {"totals": 0}, {"offset": 0}).cycles == 0


@pytest.mark.parametrize(
    ("inputs", "statics", "message"),
    [
        ({"factors": np.zeros((1, 1), np.uint8)}, {"offset": 0}, "input streams are"),
        ({"values": np.zeros((1, LANES), np.uint8)}, {"offset": 0}, r"must be uint8 \[n, 6\]"),
        ({"values": np.zeros((1, LANES + 1))}, {"offset": 0}, "not float64"),
        ({"values": np.full((1, LANES + 1), 2, np.uint8)}, {"offset": 0}, "exceed 41 bits"),
        ({"values": np.zeros((1, LANES + 1), np.uint8)}, {}, "static inputs are"),
        ({"values": np.zeros((1, LANES + 1), np.uint8)}, {"offset": 256}, "256 does not fit 8"),
    ],
)
def test_bad_words(engine, inputs, statics, message):
    if "values" in inputs:
        inputs = {"factors": np.zeros((1, 1), np.uint8), **inputs}
    with pytest.raises(ValueError, match=message):
        engine.run(inputs, {"totals": 1}, statics)


def read_vcd(text):
    """Times in nanoseconds, and for each the values by the last part of a signal's name."""
    unit = {"1 ns": 1.0, "1 fs": 1e-6}[re.search(r"\$timescale (.*?) \$end", text)[1]]
    names = re.findall(r"\$var \w+ \d+ (\S+) (\S+)", text)
    values, samples, time = {}, {}, None
    for line in text[text.index("$enddefinitions $end") :].splitlines()[1:]:
        if line.startswith("#"):
            if time is not None:
                samples[time] = {name: values.get(code) for code, name in names}
            time = round(int(line[1:]) * unit)
        elif line.startswith("b"):
            number, code = line[1:].split()
            values[code] = int(number, 2)
        elif line[0] in "01":
            values[line[1:]] = int(line[0])
    return samples


def test_waves_show_the_transfers_of_the_window(engine, packets, tmp_path):
    result = run(engine, packets, stalls=Stalls(0.4, 3), waves=Waves(tmp_path / "w.vcd", 30, 60))
    samples = read_vcd((tmp_path / "w.vcd").read_text())
    assert min(samples) >= 60 and max(samples) < 120
    transfers = set()
    held = {}
    for time in range(60, 120):
        held = samples.get(time, held)
        if time % 2 == 0 and held["totals__valid"] and held["totals__ready"]:
            transfers.add(time // 2)
    expected = {int(cycle) for cycle in result.accepted["totals"] if 30 <= cycle < 60}
    assert expected and transfers == expected


def test_waves_do_not_change_the_run(engine, packets, tmp_path):
    plain = run(engine, packets)
    traced = run(engine, packets, waves=Waves(tmp_path / "w.vcd", 10, 20))
    assert traced.cycles == plain.cycles
    np.testing.assert_array_equal(traced.outputs["totals"], plain.outputs["totals"])


def test_unwritable_waves(engine, packets, tmp_path):
    with pytest.raises(DnaError, match="cannot write"):
        run(engine, packets, waves=Waves(tmp_path / "absent" / "w.vcd", 0, 5))


class Pair(wiring.Component):
    """A queue of two words, one of them in a memory that has no address."""

    words: In(stream.Signature(48))
    same: Out(stream.Signature(48))

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(width=48, depth=2)
        m.d.comb += [
            queue.w_data.eq(self.words.p),
            queue.w_en.eq(self.words.valid),
            self.words.ready.eq(queue.w_rdy),
            self.same.p.eq(queue.r_data),
            self.same.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.same.ready),
        ]
        return m


def test_a_memory_of_one_row(tmp_path, monkeypatch):
    """CXXRTL's index of it is whatever lies on the stack, which -O0 leaves there."""
    monkeypatch.setattr(library, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(library, "FLAGS", ("-O0", *library.FLAGS[1:], "-DCXXRTL_NDEBUG"))
    words = np.random.default_rng(1).integers(0, 256, (100, 6), dtype=np.uint8)
    for engine in ENGINES:
        found = open_engine(engine, Pair).run({"words": words}, {"same": len(words)})
        assert np.array_equal(found.outputs["same"], words)
