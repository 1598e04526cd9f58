import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.bus.axi import (
    AxiLiteSignature,
    AxiReadSignature,
    AxiSignature,
    AxiWriteSignature,
    connect_flat,
    flat_members,
    size_code,
)

MEMORY = AxiSignature(data_bytes=8, id_bits=2)
REGISTERS = AxiLiteSignature(address_bits=10)

# Every wire that the machine drives or looks at, as ARM IHI 0022 (A2, B1) names and directs it.
MANAGER = {
    **{
        f"{c}{w}": Out
        for c in ("ar", "aw")
        for w in ("valid", "addr", "id", "len", "size", "burst", "cache", "prot")
    },
    **dict.fromkeys(("wvalid", "wdata", "wstrb", "wlast", "rready", "bready"), Out),
    **dict.fromkeys(("arready", "awready", "wready", "rvalid", "rid", "rdata", "rresp"), In),
    **dict.fromkeys(("rlast", "bvalid", "bid", "bresp"), In),
}
LITE_MANAGER = {
    **{f"{c}{w}": Out for c in ("ar", "aw") for w in ("valid", "addr", "prot")},
    **dict.fromkeys(("wvalid", "wdata", "wstrb", "rready", "bready"), Out),
    **dict.fromkeys(("arready", "awready", "wready", "rvalid", "rdata", "rresp"), In),
    **dict.fromkeys(("bvalid", "bresp"), In),
}


@pytest.mark.parametrize(
    ("signature", "wires"), [(MEMORY, MANAGER), (REGISTERS, LITE_MANAGER)], ids=["axi4", "lite"]
)
def test_wires_have_the_names_and_directions_of_the_specification(signature, wires):
    flat = flat_members("x", signature)
    assert {name: member.flow for name, member in flat.items()} == {
        f"x_{name}": flow for name, flow in wires.items()
    }
    other = flat_members("x", signature.flip())
    assert {name: member.flow.flip() for name, member in flat.items()} == {
        name: member.flow for name, member in other.items()
    }


def test_widths():
    flat = {name: member.shape.width for name, member in flat_members("m", MEMORY).items()}
    assert (flat["m_rdata"], flat["m_wdata"], flat["m_wstrb"]) == (64, 64, 8)
    assert (flat["m_arid"], flat["m_rid"], flat["m_awid"], flat["m_bid"]) == (2, 2, 2, 2)
    assert (flat["m_araddr"], flat["m_arlen"], flat["m_arsize"], flat["m_arburst"]) == (64, 8, 3, 2)


class Outer(wiring.Component):
    def __init__(self):
        super().__init__({**flat_members("m", MEMORY), "inner": In(MEMORY)})

    def elaborate(self, platform):
        m = Module()
        connect_flat(m, wiring.flipped(self.inner), self, "m")
        return m


def test_flat_ports_are_connected_both_ways():
    from amaranth.sim import Simulator

    dut = Outer()

    async def bench(ctx):
        ctx.set(dut.inner.ar.payload.addr, 0x1234)
        ctx.set(dut.inner.w.payload.strb, 0x5A)
        ctx.set(dut.inner.b.ready, 1)
        ctx.set(dut.m_rdata, 0x77)
        ctx.set(dut.m_awready, 1)
        assert ctx.get(dut.m_araddr) == 0x1234
        assert ctx.get(dut.m_wstrb) == 0x5A
        assert ctx.get(dut.m_bready) == 1
        assert ctx.get(dut.inner.r.payload.data) == 0x77
        assert ctx.get(dut.inner.aw.ready) == 1

    simulator = Simulator(dut)
    simulator.add_testbench(bench)
    simulator.run()


def test_sizes():
    assert [size_code(1 << size) for size in range(8)] == [0, 1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("signature", [AxiReadSignature, AxiWriteSignature])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data_bytes": 12, "id_bits": 1}, "power of two up to 128, not 12"),
        ({"data_bytes": 256, "id_bits": 1}, "power of two up to 128, not 256"),
        ({"data_bytes": 8, "id_bits": 0}, "id_bits must be a positive integer, not 0"),
    ],
)
def test_bad_parameters_are_refused(signature, arguments, message):
    with pytest.raises(ValueError, match=message):
        signature(**arguments)


def test_bad_parameters_of_the_other_signatures_are_refused():
    with pytest.raises(ValueError, match="not 0"):
        AxiSignature(data_bytes=8, id_bits=0)
    with pytest.raises(ValueError, match="address_bits must be a positive integer, not 'x'"):
        AxiLiteSignature(address_bits="x")
