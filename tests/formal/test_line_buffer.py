"""The flow control of DEPTHWISE's line buffer.

No row is overwritten that is still to be read, none is read that is not there, and nobody waits for
nothing. Reader and walker are the real ones with all their counters; layer and memory are any. Only
the queue of what was asked for is replaced, by one that shows its entries (``test_fifo.py`` proves
the real one). Proved by induction: for all time, and for layers of any size.
"""

import types

import pytest
from amaranth.hdl import Assume, Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.config import DEPTHWISE_SIDE, DnaConfig
from hw.depthwise import block_walker, row_reader
from hw.depthwise.layouts import COUNT
from hw.microarchitecture import DEPTHWISE_COLUMNS, DEPTHWISE_KERNEL, DEPTHWISE_ROWS
from tests.formal.prove import (
    any_constant,
    any_value,
    before,
    claim,
    prove,
    prove_by_invariants,
    reach,
    refute,
    variant,
)

CONFIG = DnaConfig(
    name="proof",
    modules=4,
    rows=2,
    columns=2,
    lanes=2,
    accumulation_depth=2,
    dram_bytes_per_cycle=8,
    feature_words=64,
    weight_fifo_words=2,
    depthwise_words=1,
)
QUEUE = 3
"""Entries of the queue: claims are about one entry and the next."""
GROUPS = 2
"""Of which the parameters are there at a time."""
SETTLED = 2
"""Cycles until reader and walker know what the other one did last."""

FEW_ROWS = 4
SMALL = {
    "in_words": 2,
    "group": 1,
    "in_height": 3,
    "columns": 1,
    "windows": 1,
    "out_height": 3,
    "kernel_height": 3,
    "kernel_width": 3,
    "stride": 1,
    "pad_top": 1,
}
"""A layer of two groups in which all happens soon."""
CYCLES = 20
"""From reset into the second group."""
FULL = 17
"""From reset until a row waits for room."""

# What is inside is named, not changed.
NAMES = {
    row_reader: [
        (old, f"{old}        self.inside = locals()\n")
        for old in ("        known = data.View(tag, tags.r_data)\n",)
    ],
    block_walker: [
        (old, f"        self.inside = {{**getattr(self, 'inside', {{}}), **locals()}}\n{old}")
        for old in (
            "        self._columns(m, moves, wide.last, ends_window, ends_row)\n",
            "        with m.If(ends_band):\n            m.d.sync += [y.eq(y + DEPTHWISE_SIDE)",
            "        with m.If(self.begin):\n            m.d.sync += [\n                there",
        )
    ],
}


class Queue(wiring.Component):
    """A SyncFIFO that shows its entries, each with the whole number of the row it is for."""

    def __init__(self, *, width, depth):
        ports = {"w_data": In(width), "w_en": In(1), "w_rdy": Out(1)}
        super().__init__({**ports, "r_data": Out(width), "r_en": In(1), "r_rdy": Out(1)})
        self.entries = [Signal(width, name=f"entry_{place}") for place in range(QUEUE)]
        self.numbers = [Signal(COUNT, name=f"number_{place}") for place in range(QUEUE)]
        self.number = Signal(COUNT)
        self.level = Signal(range(QUEUE + 1))

    def elaborate(self, platform):
        m = Module()
        put, take = self.w_en & self.w_rdy, self.r_en & self.r_rdy
        m.d.comb += [
            self.w_rdy.eq(self.level != QUEUE),
            self.r_rdy.eq(self.level != 0),
            self.r_data.eq(self.entries[0]),
        ]
        m.d.sync += self.level.eq(self.level + put - take)
        for held, comes in ((self.entries, self.w_data), (self.numbers, self.number)):
            for place, entry in enumerate(held):
                with m.If(put & (self.level - take == place)):
                    m.d.sync += entry.eq(comes)
                with m.Elif(take):
                    m.d.sync += entry.eq(held[min(place + 1, QUEUE - 1)])
        return m


def modulo(value):
    """A number of the sequence of rows."""
    return (Value.cast(value) + Const(0, signed(24)))[: COUNT.width]


def ahead(one, other):
    """By how much a number of the sequence is ahead of another one."""
    return modulo(one - other).as_signed()


def equal(*pairs):
    """Whether numbers are the same, modulo as many bits as the first of each pair has."""
    return Cat(
        Value.cast(one).as_unsigned() == modulo(other)[: len(one)] for one, other in pairs
    ).all()


def pixel_of(place):
    return DEPTHWISE_SIDE * place.column + place.third


def connect(m, changes, small):
    """Reader and walker of any layer, connected as in the engine; ``small``: see :func:`bench`."""
    modules = [
        variant(module, *names, *(change[1:] for change in changes if change[0] is module))
        for module, names in NAMES.items()
    ]
    modules[0].SyncFIFO = Queue
    if small:
        modules[0].DEPTHWISE_TAPS = modules[0].PARAMETER_BYTES = 2
        modules[0].DEPTHWISE_ROWS = FEW_ROWS
    reader, walker = modules[0].RowReader(CONFIG), modules[1].BlockWalker(CONFIG)
    m.submodules.reader, m.submodules.walker = reader.elaborate(None), walker.elaborate(None)
    fields = {}
    for block, names in (
        (reader, (*row_reader.READS, *row_reader.SHARED)),
        (walker, (*block_walker.WALK, *block_walker.SHARED)),
    ):
        for name in names:
            port = getattr(block, name)
            if name not in fields:
                fields[name] = any_constant(m, port.shape(), name=name)
            m.d.comb += port.eq(fields[name])
    begin, issue = Signal(), Signal()
    features, steps = reader.features, walker.steps
    for signal in (begin, steps.ready, features.requests.ready, features.responses.valid):
        any_value(m, signal)
    m.d.comb += [
        issue.eq(steps.valid & steps.ready),
        reader.begin.eq(begin),
        walker.begin.eq(begin),
        reader.blocks.eq(walker.blocks),
        reader.released.eq(walker.released),
        reader.releases.eq(issue & steps.payload.ends_group),
        walker.filled.eq(reader.filled),
    ]
    return reader, walker, types.SimpleNamespace(**fields), begin, issue


def assume(m, reader, walker, op, begin):
    """What the docstrings ask for. Gives whether the fields have stood, and a layer has begun."""
    age, active = Signal(range(4)), Signal()
    m.d.sync += [age.eq(Mux(age == 3, 3, age + 1)), active.eq(active | begin)]
    counts = (op.in_words, op.in_height, op.out_height, op.columns, op.windows, op.group, op.stride)
    at_rest = ~reader.busy & ~walker.inside["walking"]
    m.d.comb += [
        *(Assume(count != 0) for count in counts),
        Assume((op.kernel_height != 0) & (op.kernel_height <= DEPTHWISE_KERNEL)),
        Assume((op.pad_top >= 0) & (op.pad_top < op.kernel_height)),
        Assume(op.columns <= DEPTHWISE_COLUMNS),
        Assume(~begin | ((age == 3) & at_rest)),
        Assume(~reader.features.responses.valid | reader.inside["tags"].r_rdy),
    ]
    return age != 0, active


def walk(m, reader, walker, op, begin, issue):
    """Where the walker is.

    Returns:
        start: the first row of the group, in sequence.
        top: the row of the input where the windows begin.
        band: how much below it the block does.
        first: these are the first windows of the group.
        needed: the first row that is still to be read, in sequence.
        reads: the first row of the group that the reader is at.
    """
    step = walker.steps.payload
    start, top, band, first = Signal(COUNT), Signal(signed(18)), Signal(COUNT), Signal()
    needed, reads = Signal(COUNT), Signal(COUNT)
    m.d.comb += needed.eq(start + Mux(top < 0, 0, top))
    with m.If(issue):
        lower = Mux(walker.inside["wide"].last, band + DEPTHWISE_SIDE, band)
        m.d.sync += band.eq(Mux(step.last, 0, lower))
        with m.If(step.ends_row):
            m.d.sync += [top.eq(top + op.stride), first.eq(0)]
        with m.If(step.ends_group):
            m.d.sync += [top.eq(-op.pad_top), first.eq(1), start.eq(start + op.in_height)]
    with m.If(reader.inside["ends_group"]):
        m.d.sync += reads.eq(reads + op.in_height)
    with m.If(begin):
        m.d.sync += [top.eq(-op.pad_top), first.eq(1), band.eq(0), start.eq(0), reads.eq(0)]
    m.d.comb += Assume(top < op.in_height)  # no window is below the input
    return types.SimpleNamespace(
        start=start, top=top, band=band, first=first, needed=needed, reads=reads
    )


def keep(m, reader, op, begin):
    """What the buffer has at one place, any one.

    Returns:
        slot, chosen: the place's row in the buffer, and its column.
        content: the number of the row that was written there last, if ``there``.
        pixel: the column of the next pixel of the row that is being filled.
        full: there was a row for each of the buffer.
    """
    place, ends_row = reader.place, reader.inside["known"].ends_row
    slot = any_constant(m, place.row.shape(), name="slot")
    chosen = any_constant(m, range(DEPTHWISE_COLUMNS), name="chosen")
    m.d.comb += Assume(chosen < op.columns)
    pixel = Signal(range(DEPTHWISE_COLUMNS + 1))
    content, there, full = Signal(COUNT), Signal(), Signal()
    with m.If(reader.fills):
        m.d.sync += pixel.eq(Mux(ends_row, 0, pixel + 1))
        with m.If(ends_row & (reader.filled == DEPTHWISE_ROWS - 1)):
            m.d.sync += full.eq(1)
        with m.If((place.row == slot) & (pixel_of(place) == chosen)):
            m.d.sync += [content.eq(reader.filled), there.eq(1)]
    with m.If(begin):
        m.d.sync += [there.eq(0), full.eq(0)]
    return types.SimpleNamespace(
        slot=slot, chosen=chosen, content=content, there=there, pixel=pixel, full=full
    )


def bench(*changes, small=False):
    """Any layer; or a ``small`` one, with few parameters and a buffer of ``FEW_ROWS``."""
    rows = FEW_ROWS if small else DEPTHWISE_ROWS

    def fill(m):
        reader, walker, op, begin, issue = connect(m, changes, small)
        if small:
            m.d.comb += [Assume(getattr(op, name) == value) for name, value in SMALL.items()]
        stood, active = assume(m, reader, walker, op, begin)
        at = walk(m, reader, walker, op, begin, issue)
        place = keep(m, reader, op, begin)
        r, w = (types.SimpleNamespace(**block.inside) for block in (reader, walker))
        filled, released = reader.filled, walker.released
        m.d.comb += r.tags.number.eq(r.number)

        # What is to be shown.
        line = any_constant(m, range(DEPTHWISE_SIDE), name="line")  # of the block
        m.d.comb += Assume(line < DEPTHWISE_SIDE)
        below, inside = at.band + line, Signal()
        row, here = Signal(COUNT), Signal.like(place.slot)
        m.d.comb += [
            inside.eq((at.top + below >= 0) & (at.top + below < op.in_height)),
            row.eq(at.start + at.top + below),
            here.eq(walker.steps.payload.at.row + line),
        ]
        sees = walker.steps.valid & (below < op.kernel_height)
        known = before(m, Cat(sees, inside))
        told = walker.rows_inside.bit_select(line, 1)
        claim(m, "inside_is_known", ~known[0] | (told == known[1]))
        with m.If(sees & inside):
            claim(m, "row_is_there", ahead(filled, row) > 0)
            claim(m, "row_is_kept", ahead(row, released) >= 0)
            claim(m, "row_has_its_place", equal((here, row)))
            with m.If(here == place.slot):
                claim(m, "row_is_what_is_read", place.there & (place.content == row))
        with m.If(reader.fills):
            claim(m, "pixels_in_order", pixel_of(reader.place) == place.pixel)
            claim(m, "rows_in_order", equal((reader.place.row, filled)))
            claim(m, "rows_end", r.known.ends_row == (place.pixel == op.columns - 1))
            claim(m, "only_what_was_read_is_overwritten", ahead(filled, at.needed) < rows)
        can = reader.features.requests.valid | r.tags.r_rdy | walker.steps.valid | begin
        done = ~r.walking & ~w.walking
        quiet = Signal(range(2 * SETTLED))  # cycles in which nobody outside could have helped
        m.d.sync += quiet.eq(Mux(can | done, 0, quiet + 1))
        claim(m, "nobody_waits_for_nothing", quiet <= SETTLED)

        if not small:
            claim_invariants(m, r, w, op, at, place, stood, active, quiet, filled, released)
        reach(m, "a_block_is_let_in", issue)
        reach(m, "a_row_waits_for_room", r.walking & ~r.loading & ~r.has_row)

    return fill


def claim_invariants(m, r, w, op, at, place, stood, active, quiet, filled, released):
    """What an induction must know."""
    with m.If(~active):
        nothing = Cat(r.tags.level, quiet, place.pixel, r.column, r.third) == 0
        claim(m, "nothing_before_a_layer", ~r.walking & ~w.walking & nothing)
    with m.If(stood):
        claim(
            m,
            "fields_are_known",
            equal(
                (w.under, op.kernel_height - op.pad_top),
                (w.height, op.in_height),
                (r.columns.one, op.columns == 1),
                (r.rows.one, op.in_height == 1),
                (r.groups.one, op.in_words <= op.group),
                (w.groups.one, op.in_words <= op.group),
            ),
        )
    with m.If(active):
        claim(m, "stood", stood)
        claim_walk(m, w, op, at)
        claim_reads(m, r, op, place, filled)
        claim_content(m, at, place, filled)
        claim_room(m, r, w, op, at, place, filled, released)
        claim_groups(m, r, w, op, at)
        with m.If(quiet >= 1):
            claim(m, "released_at_once", released == at.needed)
        with m.If(quiet >= SETTLED):
            claim(m, "row_at_once", r.has_row == (ahead(r.number, released) < DEPTHWISE_ROWS))
            claim(m, "half_at_once", r.has_half == (r.held != GROUPS))
            due = (ahead(filled, w.bottom) >= 0) | (ahead(filled, w.end) >= 0)
            claim(m, "there_at_once", w.there == due)


def claim_walk(m, w, op, at):
    """The walker's counters are numbers from where it is."""
    row, next_group = at.start + at.top, at.start + op.in_height
    claim(
        m, "top_of_a_window", (at.top >= -DEPTHWISE_KERNEL) & (~at.first | (at.top == -op.pad_top))
    )
    counters = {
        "window_y": at.top,
        "y": at.top + at.band,
        "window_row": row,
        "row": row + at.band,
        "group_row": next_group - op.pad_top,
        "top": row + op.stride,
        "bottom": row + op.kernel_height,
        "next_bottom": row + op.stride + op.kernel_height,
        "group_bottom": next_group - op.pad_top + op.kernel_height,
        "end": next_group,
        "next_end": next_group + op.in_height,
        "leaves": Mux(at.first, at.start, row),
        "leaves_end": Mux(at.first, at.start, next_group),
    }
    for name, value in counters.items():
        claim(m, f"{name}_counts", equal((getattr(w, name), value)))


def claim_reads(m, r, op, place, filled):
    """What is asked for follows, pixel by pixel, what is in the queue, and that what is there."""
    pixel = DEPTHWISE_SIDE * r.column + r.third
    claim(m, "thirds", r.third < DEPTHWISE_SIDE)
    claim(m, "columns_left", r.columns.left + pixel == op.columns)
    claim(m, "columns_last", (r.columns.left != 0) & (r.columns.last == (r.columns.left == 1)))
    claim(m, "next_number", equal((r.next_number, r.number + 1)))
    level, due = r.tags.level, Cat(filled, place.pixel)
    for index, (bits, number) in enumerate(zip(r.tags.entries, r.tags.numbers, strict=True)):
        entry = data.View(r.tag, bits)
        its = pixel_of(entry.place)
        follows = Mux(
            entry.loads,
            Cat(number, its[: len(place.pixel)]),
            Mux(
                entry.ends_row,
                Cat(modulo(number + 1), Const(0, len(place.pixel))),
                Cat(number, (its + 1)[: len(place.pixel)]),
            ),
        )
        with m.If(index < level):
            claim(m, f"entry_{index}_follows", due == Cat(number, its[: len(place.pixel)]))
            claim(m, f"entry_{index}_is_a_place", equal((entry.place.row, number)))
            claim(m, f"entry_{index}_is_a_column", (entry.place.third < 3) & (its < op.columns))
            ends = entry.loads | (entry.ends_row == (its == op.columns - 1))
            claim(m, f"entry_{index}_ends", ends)
        next_due = Signal.like(due, name=f"due_{index}")
        m.d.comb += next_due.eq(Mux(index < level, follows, due))
        due = next_due
    claim(m, "all_is_asked_for", due == Cat(r.number, pixel[: len(place.pixel)]))
    claim(m, "pixel", place.pixel < op.columns)


def claim_content(m, at, place, filled):
    """The rows in the buffer are the last ones: the row at a place follows from how many are."""
    rows = Signal(COUNT)  # written there, in a buffer that has but that column
    m.d.comb += rows.eq(filled + (place.pixel > place.chosen))
    last = ahead(rows, place.content)
    claim(m, "there", place.there == (place.full | (rows > place.slot)))
    content = equal((place.slot, place.content)) & (last > 0) & (last <= DEPTHWISE_ROWS)
    claim(m, "content", ~place.there | content)
    begun = (filled < DEPTHWISE_ROWS) & (at.start.as_signed() >= 0)
    claim(m, "not_full_in_the_beginning", place.full | begun)


def claim_room(m, r, w, op, at, place, filled, released):
    """Rows are asked for if there is room, and let in when they are there."""
    room = DEPTHWISE_ROWS - 1
    asked = ahead(r.number, released)
    claim(m, "room", (asked <= room + 1) & (~r.has_row | (asked <= room)))
    claim(m, "not_far_ahead", ahead(r.number, at.needed) <= room + 1)
    claim(m, "room_of_a_row", ((r.column == 0) & (r.third == 0)) | (asked <= room))
    claim(m, "room_of_pixels", (place.pixel == 0) | (ahead(filled, released) <= room))
    for index, (bits, number) in enumerate(zip(r.tags.entries, r.tags.numbers, strict=True)):
        loads = data.View(r.tag, bits).loads
        there = (index < r.tags.level) & ~loads
        claim(m, f"room_of_entry_{index}", ~there | (ahead(number, released) <= room))
    with m.If(at.first):
        claim(m, "filled_first", ahead(filled, at.start) > -op.in_height)
        late = ahead(at.start, released)
        claim(m, "released_first", (late >= 0) & (late <= op.in_height))
    with m.Else():
        claim(m, "filled", ahead(filled, at.start) > 0)
        early = ahead(released, at.start)
        claim(m, "released", (early >= 0) & (ahead(at.needed, released) >= 0))
    there = (ahead(filled, w.bottom) >= 0) | (ahead(filled, w.end) >= 0)
    claim(m, "rows_are_there", ~w.there | there)


def claim_groups(m, r, w, op, at):
    """The parameters of two groups at most, and rows of those groups."""
    held = r.held
    between = r.loading | ~r.walking
    claim(m, "held", (held <= GROUPS) & ~(r.loading & r.has_half & (held == GROUPS)))
    claim(m, "loading", ~r.loading | r.walking)
    claim(m, "between_groups", ~between | ((r.rows.left == op.in_height) & (r.column == 0)))
    claim(m, "between_rows", ~between | (r.third == 0))
    lead = Mux(between, held, held - 1)  # groups that the reader is ahead
    claim(m, "rows_of_the_group", equal((r.number, at.reads + op.in_height - r.rows.left)))
    for groups in range(-1, GROUPS + 1):
        its = equal((at.reads, at.start + groups * op.in_height))
        claim(m, f"{groups + 1}_groups_from_behind", (lead != groups) | its)
    left = r.rows.left
    claim(m, "rows_left", (left != 0) & (left <= op.in_height) & (r.rows.last == (left == 1)))
    words = lead * op.group
    for name, block in (("reader", r), ("walker", w)):
        left = block.groups.left
        known = (left != 0) & (block.groups.last == (left <= op.group))
        claim(m, f"groups_of_{name}", ~block.walking | known)
    with m.If(w.walking):
        claim(m, "groups", ~r.walking | (w.groups.left == r.groups.left + words))
        claim(m, "last_group", r.walking | (w.groups.left <= words))
    with m.Else():
        last = (held == 0) & ~r.loading & r.groups.last
        claim(m, "last_rows", ~r.walking | last)


SHOWN = (
    "row_is_there",
    "row_is_kept",
    "row_has_its_place",
    "row_is_what_is_read",
    "only_what_was_read_is_overwritten",
)
"""What follows from the rest."""


def test_rows_are_kept_until_they_were_read():
    prove_by_invariants(bench(), *SHOWN)


def test_layers_begin_and_go_on():
    prove(bench(small=True), "rows_in_order", depth=FULL, induction=False)


READER, WALKER = row_reader, block_walker


@pytest.mark.parametrize(
    ("module", "old", "new", "violated"),
    [
        (READER, "< DEPTHWISE_ROWS", "<= DEPTHWISE_ROWS", "only_what_was_read_is_overwritten"),
        (
            READER,
            "Mux(ends_row, next_number, number)",
            "number",
            "only_what_was_read_is_overwritten",
        ),
        (READER, "< DEPTHWISE_ROWS", "< 2", "nobody_waits_for_nothing"),
        (READER, "has_half.eq(held != 2)", "has_half.eq(0)", "nobody_waits_for_nothing"),
        (READER, "number.eq(next_number),", "", "rows_in_order"),
        (WALKER, "reached(next_bottom), reached", "reached(bottom), reached", "row_is_there"),
        (WALKER, "bottom.eq(group_bottom)", "bottom.eq(end)", "row_is_there"),
        (WALKER, "leaves.eq(top)", "leaves.eq(top + 1)", "row_is_kept"),
        (WALKER, "(y >= -place)", "(y >= 0)", "inside_is_known"),
    ],
)
def test_broken_flow_control_is_found(module, old, new, violated):
    refute(bench((module, old, new), small=True), violated, depth=CYCLES)
