"""Registers behind AXI4-Lite, built from their declarations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Member, Out

from hw.bus.axi import AxiLiteSignature
from hw.bus.register_fields import REGISTER_BYTES, Access, Field, Register


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
    at, as registers are whole words. Addresses without a register read as 0.

    Latency: a read answers in the cycle after its address, a write in the cycle after both halves;
    a field has its new value then.

    Stall: an address, or a word to write, waits while the answer before it is not taken.

    Args:
        registers: any, no two at one offset or of one name.
        address_bits: of the byte address.

    Ports:
        bus: in, :class:`hw.bus.axi.AxiLiteSignature`.
        clear: in, put the RW1C fields back to what they are after power-on.
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
        write = Signal()
        m.d.comb += [
            write.eq(aw.valid & w.valid & (~b.valid | b.ready)),
            aw.ready.eq(write),
            w.ready.eq(write),
        ]
        with m.If(b.ready):
            m.d.sync += b.valid.eq(0)
        with m.If(write):
            m.d.sync += b.valid.eq(1)

        ports = {path: port for path, _, port in self.fields.signature.flatten(self.fields)}
        values = {}
        for register in self._registers:
            word = register.offset // REGISTER_BYTES
            written: Value = Const(0, 1)
            if register.writable:
                written = Signal(name=f"{register.name}_written")
                m.d.comb += written.eq(write & (aw.payload.addr[2:] == word) & w.payload.strb.all())
            values[word] = Cat(
                self._field(m, ports, (register.name, field.name), field, written, low)
                for field in register.fields
                for low in (register.shift(field.name),)
            )

        m.d.comb += ar.ready.eq(~r.valid | r.ready)
        with m.If(r.ready):
            m.d.sync += r.valid.eq(0)
        with m.If(ar.valid & ar.ready):
            m.d.sync += [r.valid.eq(1), r.payload.data.eq(0)]
            with m.Switch(ar.payload.addr[2:]):
                for word, value in values.items():
                    with m.Case(word):
                        m.d.sync += r.payload.data.eq(value)
        return m

    def _field(
        self,
        m: Module,
        ports: dict[tuple[str | int, ...], Any],
        path: tuple[str, ...],
        field: Field,
        written: Value,
        low: int,
    ) -> Value:
        """Build a field; returns what software reads of it."""
        word = self.bus.w.payload.data[low : low + field.width]
        if field.access is Access.RW1C:
            pending = ports[*path, "pending"]
            kept = pending & ~Mux(written, word, 0)
            m.d.sync += pending.eq(Mux(self.clear, field.reset or 0, kept | ports[*path, "set"]))
            return Value.cast(pending)
        port = ports[path]
        if field.access is Access.RW:
            with m.If(written):
                m.d.sync += port.eq(word)
        elif field.access is Access.W:
            m.d.comb += port.eq(Mux(written, word, 0))
            return Const(0, field.width)
        return Value.cast(port)
