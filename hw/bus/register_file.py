"""Registers behind AXI4-Lite, built from their declarations."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Member, Out

from hw.bus.axi import AxiLiteSignature
from hw.bus.axi_codes import Response
from hw.bus.register_fields import REGISTER_BYTES, Access, Field, Register

_GROUP = 8
"""Registers that a read chooses among in a cycle."""


def field_port(field: Field) -> Member:
    """What the hardware sees of a field, by its access.

    R: in, the value that software reads. RW: out, the value that it wrote last. W: out, the value
    that it writes in this cycle, else 0. RW1C: {``set``: in, bits to set; ``pending``: out, those
    that are set}, from the cycle after on; a bit that is set and cleared at once stays set.
    """
    if field.access is Access.R:
        return In(field.width)
    if field.access is Access.RW:
        return Out(field.width, init=field.reset or 0)
    if field.access is Access.W:
        return Out(field.width)
    return Out(
        wiring.Signature(
            {"set": In(field.width), "pending": Out(field.width, init=field.reset or 0)}
        )
    )


class RegisterFile(wiring.Component):
    """Decodes addresses, keeps what software writes and answers what it reads.

    A write counts if all of its byte strobes are set; the two low bits of an address are not looked
    at, as registers are whole words. An address without a register answers DECERR and reads as 0. A
    write that is not done, or not in all of its fields, answers SLVERR: to a register that is only
    read, of less than a whole word, or of a locked field.

    Latency: a read answers in the 3rd cycle after its address, a write in the 2nd cycle after both
    halves; a field has its new value then. All outputs of ``bus`` are registers, or one gate behind
    them: none depends on an input of the same cycle.

    Stall: an address, or a word to write, waits while the one before it has not been answered and
    the answer before that not been taken.

    Args:
        registers: any, no two at one offset or of one name.
        address_bits: of the byte address.

    Ports:
        bus: in, :class:`hw.bus.axi.AxiLiteSignature`.
        clear: in, put the RW1C fields back to what they are after power-on.
        locked: in, refuse what is written to locked fields.
        fields: out, by the name of the register and the name of the field, :func:`field_port`.

    Raises:
        ValueError: two registers have one name or offset, or one is out of the reach of
            ``address_bits``.
    """

    def __init__(self, registers: Sequence[Register], *, address_bits: int) -> None:
        for what in ("name", "offset"):
            values = [getattr(register, what) for register in registers]
            for value in values:
                if values.count(value) > 1:
                    raise ValueError(f"two registers have {what} {value!r}")
        for register in registers:
            if register.offset >= 1 << address_bits:
                raise ValueError(
                    f"{register.name}: offset must be below {1 << address_bits}, "
                    f"not {register.offset!r}"
                )
        self._registers = tuple(registers)
        super().__init__(
            {
                "bus": In(AxiLiteSignature(address_bits=address_bits)),
                "clear": In(1),
                "locked": In(1),
                "fields": Out(
                    wiring.Signature(
                        {
                            register.name: Out(
                                wiring.Signature(
                                    {field.name: field_port(field) for field in register.fields}
                                )
                            )
                            for register in registers
                        }
                    )
                ),
            }
        )

    def register(self, name: str) -> Any:
        """The ports of a register's fields, as attributes."""
        return getattr(self.fields, name)

    def elaborate(self, platform: Any) -> Module:
        """Build the two halves of the bus and, between them, the fields."""
        m = Module()
        aw, w, b = self.bus.aw, self.bus.w, self.bus.b
        ar, r = self.bus.ar, self.bus.r
        address, word = Signal.like(aw.payload.addr), Signal.like(w.payload.data)
        whole, addressed, worded = Signal(), Signal(), Signal()
        write = Signal()
        m.d.comb += [
            aw.ready.eq(~addressed),
            w.ready.eq(~worded),
            write.eq(addressed & worded & ~b.valid),
        ]
        with m.If(aw.ready):
            m.d.sync += [addressed.eq(aw.valid), address.eq(aw.payload.addr)]
        with m.If(w.ready):
            m.d.sync += [
                worded.eq(w.valid),
                word.eq(w.payload.data),
                whole.eq(w.payload.strb.all()),
            ]

        ports = {path: port for path, _, port in self.fields.signature.flatten(self.fields)}
        values: dict[int, Value] = {}
        refused: list[Value] = [~whole]
        accepted: list[Value] = []
        for register in self._registers:
            place = register.offset // REGISTER_BYTES
            written = Signal(name=f"{register.name}_written")
            m.d.comb += written.eq(write & (address[2:] == place) & whole)
            if register.writable:
                accepted.append(address[2:] == place)
            fields = []
            for field in register.fields:
                low = register.shift(field.name)
                part = word[low : low + field.width]
                path = (register.name, field.name)
                fields.append(self._field(m, ports, path, field, written, part))
                if field.locked:
                    wants = part.any() if field.access is Access.W else Const(1)
                    refused.append(self.locked & (address[2:] == place) & wants)
            values[place] = Cat(fields)

        with m.If(b.ready):
            m.d.sync += b.valid.eq(0)
        with m.If(write):
            m.d.sync += [addressed.eq(0), worded.eq(0), b.valid.eq(1)]
            m.d.sync += b.payload.resp.eq(Response.SLVERR)
            with m.If(~address[2:].matches(*values)):
                m.d.sync += b.payload.resp.eq(Response.DECERR)
            with m.Elif(Cat(accepted).any() & ~Cat(refused).any()):
                m.d.sync += b.payload.resp.eq(Response.OKAY)

        # A read looks in groups of registers first, and then joins what the groups have.
        asked, read = Signal(), Signal.like(ar.payload.addr)
        looked, there = Signal(), Signal()
        m.d.comb += ar.ready.eq(~asked)
        with m.If(ar.ready):
            m.d.sync += [asked.eq(ar.valid), read.eq(ar.payload.addr)]
        m.d.sync += [looked.eq(asked), there.eq(read[2:].matches(*values))]
        found = []
        for number, places in itertools.groupby(sorted(values), key=lambda place: place // _GROUP):
            m.d.sync += (group := Signal.like(r.payload.data, name=f"group_{number}")).eq(0)
            found.append(group)
            with m.Switch(read[2:]):
                for place in places:
                    with m.Case(place):
                        m.d.sync += group.eq(values[place])
        with m.If(r.ready):
            m.d.sync += r.valid.eq(0)
        with m.If(asked & looked & ~r.valid):
            m.d.sync += [
                asked.eq(0),
                looked.eq(0),
                r.valid.eq(1),
                r.payload.data.eq(functools.reduce(operator.or_, found)),
                r.payload.resp.eq(Mux(there, Response.OKAY, Response.DECERR)),
            ]
        return m

    def _field(
        self,
        m: Module,
        ports: dict[tuple[str | int, ...], Any],
        path: tuple[str, ...],
        field: Field,
        written: Value,
        word: Value,
    ) -> Value:
        """Build a field; returns what software reads of it."""
        if field.access is Access.RW1C:
            pending = ports[*path, "pending"]
            kept = pending & ~Mux(written, word, 0)
            m.d.sync += pending.eq(Mux(self.clear, field.reset or 0, kept | ports[*path, "set"]))
            return Value.cast(pending)
        port = ports[path]
        if field.locked:
            written = written & ~self.locked
        if field.access is Access.RW:
            with m.If(written):
                m.d.sync += port.eq(word)
        elif field.access is Access.W:
            m.d.comb += port.eq(Mux(written, word, 0))
            return Const(0, field.width)
        return Value.cast(port)
