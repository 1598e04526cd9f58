"""What every engine does with its instructions, whatever they mean."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.interfaces import EngineSignature
from hw.isa import FORMATS, Opcode
from hw.isa.layout import instruction_layout
from hw.status import ACTIVITY_BITS, Activity, Fault


class EngineControl(wiring.Component):
    """Runs one instruction at a time: refuses it or starts it, and takes it when it is finished.

    Latency: three cycles before an instruction runs: ``load``, in which the engine copies the
    fields, one in which they are checked, and ``start``. It is done in the cycle of ``finish`` and
    taken in the one behind it.

    Stall: an instruction waits while the one before runs.

    Ports:
        engine: out, the port of the engine. A refused instruction raises ``fault`` until reset,
            with the number of its layer as the address; after that nothing is started.
            ``activity`` is ``IDLE`` while there is no instruction or the engine has failed,
            ``BUSY`` before it runs, and then what the engine says.
        load: out, high in the first cycle of an instruction.
        refuse: in, unsigned(8), in the cycle after ``load`` the :class:`Fault` of the instruction.
        start: out, high in the cycle before ``running``; the state of the loops is set here.
        running: out, high until and in the cycle of ``finish``.
        activity: in, :class:`Activity` while ``running``.
        finish: in, high in the last cycle of the instruction, when its effects are visible.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "engine": Out(EngineSignature()),
                "load": Out(1),
                "refuse": In(unsigned(8)),
                "start": Out(1),
                "running": Out(1),
                "activity": In(unsigned(ACTIVITY_BITS)),
                "finish": In(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the states: waiting, loaded, checked, running, failed."""
        m = Module()
        engine = self.engine
        offered = Signal()
        loaded = Signal()
        checked = Signal()
        refused = Signal.like(self.refuse)
        finished = Signal()
        taken = Signal()
        m.d.comb += [
            offered.eq(engine.instructions.valid & ~self.running & ~engine.fault.valid),
            self.load.eq(offered & ~loaded & ~checked & ~taken),
            self.start.eq(checked & (refused == Fault.NONE)),
            finished.eq(self.running & self.finish),
            engine.instructions.ready.eq(taken),
            engine.done.eq(finished),
            engine.activity.eq(
                Mux(self.running, self.activity, Mux(offered, Activity.BUSY, Activity.IDLE))
            ),
        ]
        m.d.sync += [loaded.eq(self.load), checked.eq(loaded), taken.eq(finished)]
        with m.If(loaded):
            m.d.sync += refused.eq(self.refuse)
        with m.If(self.start):
            m.d.sync += self.running.eq(1)
        with m.If(finished):
            m.d.sync += self.running.eq(0)
        with m.If(checked & ~self.start):
            instruction = data.View(instruction_layout(Opcode.END), engine.instructions.payload)
            m.d.sync += [
                engine.fault.valid.eq(1),
                engine.fault.code.eq(refused),
                engine.fault.address.eq(instruction.layer),
            ]
        return m


def instruction_view(control: EngineControl, opcode: Opcode) -> data.View[data.StructLayout]:
    """The instruction on offer, as one with ``opcode``."""
    return data.View(instruction_layout(opcode), control.engine.instructions.payload)


def field_registers(m: Module, control: EngineControl, opcode: Opcode) -> SimpleNamespace:
    """A register for each field of ``opcode``, filled when ``control`` says ``load``.

    They have a reset although nobody reads them before they are filled: counters are made with
    ``Signal.like`` of a field, which copies its ``reset_less``.

    Returns:
        The signals by the names of the fields.
    """
    view = instruction_view(control, opcode)
    fields = {
        field.name: Signal.like(view[field.name], name=field.name)
        for field in FORMATS[opcode].fields
    }
    with m.If(control.load):
        m.d.sync += [register.eq(view[name]) for name, register in fields.items()]
    return SimpleNamespace(**fields)
