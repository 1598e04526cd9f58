"""AXI4 and AXI4-Lite, as ARM IHI 0022 defines them; only the signals that the machine drives.

An interface is made of channels, each a valid/ready stream with a structure as its payload. A wire
of the specification is a channel and a member of it: ``ARADDR`` is ``ar.payload.addr``, ``ARVALID``
``ar.valid``. At the border of the machine the wires are ports of their own, named so that tools
recognise them as AXI (``m_axi_araddr``): :func:`flat_members`, :func:`connect_flat`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from amaranth.hdl import Module, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import Flow, In, Member, Out

ADDRESS_BITS = 64
ID_BITS = 2
"""Of all identifiers of the machine: instruction fetch, LOAD, WEIGHTS."""
WINDOW_ALIGNMENT_BITS = 12
"""The memory window begins at a multiple of 4 KiB, so that no burst that is aligned in it crosses
one."""


def size_code(data_bytes: int) -> int:
    """``ARSIZE`` and ``AWSIZE`` of whole words.

    Args:
        data_bytes: bytes of a word.

    Raises:
        ValueError: ``data_bytes`` is not a power of two up to 128.
    """
    if data_bytes not in (1, 2, 4, 8, 16, 32, 64, 128):
        raise ValueError(f"data_bytes must be a power of two up to 128, not {data_bytes!r}")
    return data_bytes.bit_length() - 1


def _id_bits(id_bits: int) -> int:
    if not isinstance(id_bits, int) or id_bits < 1:
        raise ValueError(f"id_bits must be a positive integer, not {id_bits!r}")
    return id_bits


def address_channel(id_bits: int) -> stream.Signature:
    """AR or AW: a burst of ``len`` + 1 words of 2 ** ``size`` bytes from byte ``addr`` on.

    Raises:
        ValueError: ``id_bits`` is not a positive integer.
    """
    return stream.Signature(
        data.StructLayout(
            {
                "addr": unsigned(ADDRESS_BITS),
                "id": unsigned(_id_bits(id_bits)),
                "len": unsigned(8),
                "size": unsigned(3),
                "burst": unsigned(2),
                "cache": unsigned(4),
                "prot": unsigned(3),
            }
        )
    )


def _read_channels(data_bytes: int, id_bits: int) -> dict[str, Member]:
    size_code(data_bytes)
    words = data.StructLayout(
        {
            "id": unsigned(id_bits),
            "data": unsigned(8 * data_bytes),
            "resp": unsigned(2),
            "last": unsigned(1),
        }
    )
    return {"ar": Out(address_channel(id_bits)), "r": In(stream.Signature(words))}


def _write_channels(data_bytes: int, id_bits: int) -> dict[str, Member]:
    size_code(data_bytes)
    words = data.StructLayout(
        {
            "data": unsigned(8 * data_bytes),
            "strb": unsigned(data_bytes),
            "last": unsigned(1),
        }
    )
    answers = data.StructLayout({"id": unsigned(id_bits), "resp": unsigned(2)})
    return {
        "aw": Out(address_channel(id_bits)),
        "w": Out(stream.Signature(words)),
        "b": In(stream.Signature(answers)),
    }


class AxiReadSignature(wiring.Signature):
    """Read channels of an AXI4 manager: bursts of whole, aligned words.

    Args:
        data_bytes: bytes of a word, as :func:`size_code` takes them.
        id_bits: width of the identifiers.

    Members:
        ar: out, stream of {addr: unsigned(64), id, len: unsigned(8), size: unsigned(3),
            burst: unsigned(2), cache: unsigned(4), prot: unsigned(3)}.
        r: in, stream of {id, data: unsigned(8 x data_bytes), resp: unsigned(2), last}.

    Raises:
        ValueError: ``data_bytes`` is no size of a word, or ``id_bits`` no positive integer.
    """

    def __init__(self, *, data_bytes: int, id_bits: int) -> None:
        super().__init__(_read_channels(data_bytes, id_bits))


class AxiWriteSignature(wiring.Signature):
    """Write channels of an AXI4 manager: bursts of whole, aligned words.

    Args:
        data_bytes: bytes of a word, as :func:`size_code` takes them.
        id_bits: width of the identifiers.

    Members:
        aw: out, stream as ``ar`` of :class:`AxiReadSignature`.
        w: out, stream of {data: unsigned(8 x data_bytes), strb: unsigned(data_bytes), last}.
        b: in, stream of {id, resp: unsigned(2)}.

    Raises:
        ValueError: ``data_bytes`` is no size of a word, or ``id_bits`` no positive integer.
    """

    def __init__(self, *, data_bytes: int, id_bits: int) -> None:
        super().__init__(_write_channels(data_bytes, id_bits))


class AxiSignature(wiring.Signature):
    """All channels of an AXI4 manager, with the members of the read and the write signature.

    Args:
        data_bytes: bytes of a word, as :func:`size_code` takes them.
        id_bits: width of the identifiers.

    Raises:
        ValueError: ``data_bytes`` is no size of a word, or ``id_bits`` no positive integer.
    """

    def __init__(self, *, data_bytes: int, id_bits: int) -> None:
        super().__init__(
            {**_read_channels(data_bytes, id_bits), **_write_channels(data_bytes, id_bits)}
        )


class AxiLiteSignature(wiring.Signature):
    """AXI4-Lite with 32-bit data, from the manager's side.

    Args:
        address_bits: width of the byte address.

    Members:
        aw, ar: out, streams of {addr: unsigned(address_bits), prot: unsigned(3)}.
        w: out, stream of {data: unsigned(32), strb: unsigned(4)}.
        b: in, stream of {resp: unsigned(2)}.
        r: in, stream of {data: unsigned(32), resp: unsigned(2)}.

    Raises:
        ValueError: ``address_bits`` is not a positive integer.
    """

    def __init__(self, *, address_bits: int) -> None:
        if not isinstance(address_bits, int) or address_bits < 1:
            raise ValueError(f"address_bits must be a positive integer, not {address_bits!r}")
        address = data.StructLayout({"addr": unsigned(address_bits), "prot": unsigned(3)})
        written = data.StructLayout({"data": unsigned(32), "strb": unsigned(4)})
        read = data.StructLayout({"data": unsigned(32), "resp": unsigned(2)})
        answer = data.StructLayout({"resp": unsigned(2)})
        super().__init__(
            {
                "aw": Out(stream.Signature(address)),
                "w": Out(stream.Signature(written)),
                "b": In(stream.Signature(answer)),
                "ar": Out(stream.Signature(address)),
                "r": In(stream.Signature(read)),
            }
        )


def _wires(interface: Any) -> Iterator[tuple[str, Flow, Any]]:
    """Each wire of an AXI interface: the specification's name in lower case, flow and value."""
    for (channel, part), member, value in interface.signature.flatten(interface):
        if part == "payload":
            for field, _ in member.shape:
                yield f"{channel}{field}", member.flow, value[field]
        else:
            yield f"{channel}{part}", member.flow, value


def flat_members(prefix: str, signature: wiring.Signature) -> dict[str, Member]:
    """A member for each wire of an AXI signature, named ``prefix``, ``_`` and its name."""
    return {
        f"{prefix}_{name}": Member(flow, value.shape())
        for name, flow, value in _wires(signature.create())
    }


def flat_values(prefix: str, interface: Any) -> dict[str, Any]:
    """The value of each wire of ``interface``, named as :func:`flat_members` does."""
    return {f"{prefix}_{name}": value for name, _, value in _wires(interface)}


def connect_flat(m: Module, interface: Any, component: wiring.Component, prefix: str) -> None:
    """Connect a submodule's AXI interface to the ports that ``component`` has of it.

    Args:
        interface: as seen from outside of the submodule.
        component: has the members that :func:`flat_members` made of the interface's signature.
        prefix: of their names.
    """
    for name, flow, value in _wires(interface):
        port = getattr(component, f"{prefix}_{name}")
        m.d.comb += port.eq(value) if flow is Out else value.eq(port)
