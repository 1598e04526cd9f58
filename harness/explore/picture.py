"""The sweep as a picture: latency against area, and every machine of their Pareto front by name."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from harness.explore.labels import Box, Place, placed
from harness.explore.results import Row
from harness.report.scales import Scale, around

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 640, 84, 24, 84, 524
"""Of the picture, and the edges of the plot in it. On a screen of 390 pixels it is still read."""

FONT, LINE, DOT = 16, 24, 5
"""Height of letters, distance of lines, radius of dots."""

_KEY = BOTTOM + 110
"""Where the list of the front begins."""

_STYLE = f"""
  svg {{ max-width: 100%; height: auto; }}
  text {{ font: {FONT}px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
    fill: #15202b; font-variant-numeric: tabular-nums; }}
  .paper {{ fill: #ffffff; }}
  .title {{ font-size: 20px; font-weight: 650; }}
  .soft, .tick {{ fill: #56626e; }}
  .grid {{ stroke: #d8dee4; }}
  .front {{ fill: none; stroke: #1763b8; stroke-width: 2; }}
  .lead {{ stroke: #56626e; }}
  .label {{ font-weight: 650; stroke: #ffffff; stroke-width: 4px; paint-order: stroke; }}
  .dot {{ fill: #9fb0c0; }}
  .dot.best {{ fill: #1763b8; }}
  @media (prefers-color-scheme: dark) {{
    text {{ fill: #e4eaf0; }}
    .paper {{ fill: #10161c; }}
    .soft, .tick {{ fill: #9aa7b4; }}
    .grid {{ stroke: #2c3843; }}
    .front {{ stroke: #5aa2ee; }}
    .lead {{ stroke: #9aa7b4; }}
    .label {{ stroke: #10161c; }}
    .dot {{ fill: #56626e; }}
    .dot.best {{ fill: #5aa2ee; }}
  }}
"""


def picture(rows: Sequence[Row], title: str) -> str:
    """An SVG of the rows that run, at least one, both axes logarithmic.

    Args:
        rows: from :func:`harness.explore.results.ranked`.
        title: what was swept, and what was assumed.
    """
    shown = [row for row in rows if row.refused is None]
    front = [row for row in shown if row.area_front]
    x = around((row.luts for row in shown), log=True)
    y = around((row.latency_ms for row in shown), log=True)
    height = _KEY + LINE * len(front) + LINE // 2
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}</style>",
            f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
            _text(title, RIGHT, 34, WIDTH - 2 * RIGHT, "title", size=20),
            *_axes(x, y),
            *_points(shown, front, x, y),
            *_key(front, several_clocks=len({row.clock.mhz for row in shown}) > 1),
            "</svg>\n",
        ]
    )


def _across(x: Scale, value: float) -> float:
    return round(LEFT + x(value) * (WIDTH - LEFT - RIGHT), 1)


def _down(y: Scale, value: float) -> float:
    return round(BOTTOM - y(value) * (BOTTOM - TOP), 1)


def _text(
    text: str, x: float, y: float, room: float, kind: str, anchor: str = "start", size: int = FONT
) -> str:
    """A line of text that takes no more than ``room``, whatever its letters."""
    wide = sum(1.0 if unicodedata.east_asian_width(letter) in "WF" else 0.64 for letter in text)
    narrow = f' textLength="{room:g}" lengthAdjust="spacingAndGlyphs"' if wide * size > room else ""
    where = f'x="{x:g}" y="{y:g}" text-anchor="{anchor}"{narrow}'
    return f'<text class="{kind}" {where}>{escape(text)}</text>'


def _axes(x: Scale, y: Scale) -> Iterator[str]:
    right = WIDTH - RIGHT
    for tick in x.ticks():
        place = _across(x, tick)
        yield f'<line class="grid" x1="{place}" x2="{place}" y1="{TOP}" y2="{BOTTOM}"/>'
        # The plot ends near the picture's edge: a tick there stays inside, too.
        inside = min(place, right - 12)
        yield _text(f"{tick / 1e3:,g} k", inside, BOTTOM + 24, LEFT, "tick", "middle")
    for tick in y.ticks():
        place = _down(y, tick)
        yield f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{place}" y2="{place}"/>'
        yield _text(f"{tick:g} ms", LEFT - 10, place + 5, LEFT - 14, "tick", "end")
    yield _text("latency of one image, modelled", RIGHT, TOP - 16, WIDTH, "soft")
    area = "area, LUTs and their equivalents, estimated"
    yield _text(area, right, BOTTOM + 52, WIDTH - 2 * RIGHT, "soft", "end")


def _points(rows: Sequence[Row], front: Sequence[Row], x: Scale, y: Scale) -> Iterator[str]:
    places = {id(row): Place(_across(x, row.luts), _down(y, row.latency_ms)) for row in rows}
    steps: list[str] = []
    for row in front:  # from the quickest, and largest, on
        place = places[id(row)]
        steps += [f"V{place.y} H{place.x}"] if steps else [f"M{place.x} {place.y}"]
    yield f'<path class="front" d="{" ".join(steps)}"/>'
    for row in sorted(rows, key=lambda row: row.area_front):
        place = places[id(row)]
        about = (
            f"{row.name} at {row.clock}: {row.latency_ms:.3f} ms, "
            f"{row.utilization:.1%} of the MACs, {row.luts / 1e3:,.0f} k LUTs"
        )
        kind = "dot best" if row.area_front else "dot"
        yield (
            f'<circle class="{kind}" cx="{place.x}" cy="{place.y}" r="{DOT}">'
            f"<title>{escape(about)}</title></circle>"
        )
    labels = placed(
        [places[id(row)] for row in front],
        [0.64 * FONT * len(str(number + 1)) + 4 for number in range(len(front))],
        dots=list(places.values()),
        radius=DOT,
        height=FONT,
        inside=Box(LEFT, TOP, WIDTH - RIGHT, BOTTOM),
    )
    for number, (row, label) in enumerate(zip(front, labels, strict=True), 1):
        place = places[id(row)]
        if label.far:
            yield (
                f'<line class="lead" x1="{place.x}" y1="{place.y}" '
                f'x2="{label.x:g}" y2="{label.y:g}"/>'
            )
        yield (
            f'<text class="label" x="{label.x:g}" y="{label.y + FONT / 3:.1f}" '
            f'text-anchor="middle">{number}</text>'
        )


def _key(front: Sequence[Row], *, several_clocks: bool) -> Iterator[str]:
    """The list: number, name, latency, area of each machine on the front."""
    ms, luts = WIDTH - RIGHT - 110, WIDTH - RIGHT
    yield _text("the Pareto front", RIGHT, _KEY - LINE, 260, "soft")
    yield _text("latency", ms, _KEY - LINE, 90, "soft", "end")
    yield _text("k LUTs", luts, _KEY - LINE, 90, "soft", "end")
    for number, row in enumerate(front, 1):
        down = _KEY + LINE * (number - 1)
        yield _text(str(number), RIGHT + 24, down, 30, "key", "end")
        name = _name(row) if several_clocks else row.name
        yield _text(name, RIGHT + 36, down, ms - 110 - RIGHT - 36, "name")
        yield _text(f"{row.latency_ms:.3f} ms", ms, down, 104, "key", "end")
        yield _text(f"{row.luts / 1e3:,.0f}", luts, down, 90, "key", "end")


def _name(row: Row) -> str:
    return f"{row.name} at {row.clock.mhz:g} MHz"
