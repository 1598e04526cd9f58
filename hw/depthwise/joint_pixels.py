"""What follows for DEPTHWISE from how many neighbouring pixels share the words of a cycle."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.config import DEPTHWISE_SIDE, DnaConfig
from hw.isa import Opcode, field_widths

_WIDTHS = field_widths(Opcode.DEPTHWISE)
_SIGNED = frozenset({"pad_left"})

JOINT = ("split", "in_words", "in_width", "out_width", "kernel_width", "stride", "pad_left")
"""The fields of DEPTHWISE that say what is shared."""

MOST_STRIDE = 2
"""Of pixels that share a cycle: all of them are results, or every other one."""


class JointPixels(wiring.Component):
    """Counts of a cycle, where 2^split neighbouring pixels of a row share its words.

    Lane i of ``depthwise_words`` has word i modulo ``group`` of pixel i div ``group``. So many
    pixels are one column of the line buffer, which is read and walked over in those; each lane of
    each tap then chooses the word that it needs (:class:`hw.depthwise.line_buffer.LineBuffer`).

    Latency: a cycle. Stall: none.

    Args:
        config: uses ``depthwise_words``, ``lanes``, ``rows`` and ``feature_words``.

    Ports:
        split to pad_left: in, the fields ``JOINT``.
        unfit: out, without latency: pixels of this layer cannot share cycles as it says: they are
            too many, no whole number of them is in a row, their words are no odd multiple of
            ``group`` and so perhaps not in different banks, or the window is wider than a block.
        group: out, unsigned, words of a pixel that are handled at a time.
        columns, windows: out, unsigned, cycles in which a row is read, and, of one block, computed.
        column_stride, column_padding: out, unsigned and signed, the window's, in columns of the
            line buffer.
        read_step, write_step: out, unsigned, feature words from one cycle's to the next one's.
        results: out, unsigned(``depthwise_words``), the lanes that give results, if pixels share
            cycles; else all.
        offsets: out, unsigned [``post_words``], feature words from a cycle's first to each lane's.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        address = unsigned(config.feature_address_bits)
        super().__init__(
            {
                **{
                    name: In((signed if name in _SIGNED else unsigned)(_WIDTHS[name]))
                    for name in JOINT
                },
                "unfit": Out(1),
                "group": Out(range(config.depthwise_words + 1)),
                "columns": Out(unsigned(_WIDTHS["in_width"])),
                "windows": Out(unsigned(_WIDTHS["out_width"])),
                "column_stride": Out(unsigned(_WIDTHS["stride"])),
                "column_padding": Out(signed(_WIDTHS["pad_left"])),
                "read_step": Out(address),
                "write_step": Out(address),
                "results": Out(config.depthwise_words),
                "offsets": Out(data.ArrayLayout(address, config.post_words)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the choices by ``split``, each into a register."""
        m = Module()
        words = self._config.depthwise_words
        most = exact_log2(words)
        joint, every_other = Signal(), Signal()
        m.d.comb += [joint.eq(self.split != 0), every_other.eq(self.stride == MOST_STRIDE)]
        columns = self.in_width >> self.split
        m.d.sync += [
            self.group.eq(words >> self.split),
            self.columns.eq(columns),
            self.windows.eq(Mux(joint, columns, self.out_width)),
            self.column_stride.eq(Mux(joint, 1, self.stride)),
            self.column_padding.eq(Mux(joint, self.pad_left != 0, self.pad_left)),
            self.read_step.eq(self.in_words << self.split),
            self.write_step.eq((self.in_words << self.split) >> (joint & every_other)),
            self.results.eq(Mux(joint & every_other, (1 << words // 2) - 1, (1 << words) - 1)),
        ]
        for lane in range(words):
            offsets = Signal.like(self.offsets[lane], name=f"offset_{lane}")
            m.d.sync += self.offsets[lane].eq(offsets)
            with m.Switch(self.split):
                for split in range(most + 1):
                    pixel, word = divmod(lane, words >> split)
                    with m.Case(split):
                        m.d.comb += offsets.eq(self.in_words * pixel + word)
        m.d.comb += self.unfit.eq(joint & Cat(self._refused(m, most)).any())
        return m

    def _refused(self, m: Module, most: int) -> list[Value]:
        odd, whole = Signal(), Signal()
        with m.Switch(self.split):
            for split in range(1, most + 1):
                group = self._config.depthwise_words >> split
                with m.Case(split):
                    m.d.comb += [
                        odd.eq(self.in_words[: exact_log2(group) + 1] == Const(group)),
                        whole.eq(self.in_width[:split] == 0),
                    ]
        results = Mux(self.stride == MOST_STRIDE, self.out_width << 1, self.out_width)
        return [
            ~odd,
            ~whole,
            results != self.in_width,
            self.stride > MOST_STRIDE,
            self.kernel_width > DEPTHWISE_SIDE,
        ]
