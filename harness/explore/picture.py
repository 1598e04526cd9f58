"""The sweep as a picture: latency against area, and the Pareto front."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from harness.explore.results import Row
from harness.report.scales import Scale, around

WIDTH, HEIGHT = 960, 600
LEFT, RIGHT, TOP, BOTTOM = 90, 130, 70, 60
_STYLE = """
  text { font: 14px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
    fill: #15202b; }
  .paper { fill: #ffffff; }
  .title { font-size: 18px; font-weight: 650; }
  .soft, .tick { fill: #56626e; }
  .grid { stroke: #d8dee4; }
  .front { fill: none; stroke: #1763b8; stroke-width: 2; }
  .dot { fill: #9fb0c0; }
  .dot.best { fill: #1763b8; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e4eaf0; }
    .paper { fill: #10161c; }
    .soft, .tick { fill: #9aa7b4; }
    .grid { stroke: #2c3843; }
    .front { stroke: #5aa2ee; }
    .dot { fill: #56626e; }
    .dot.best { fill: #5aa2ee; }
  }
"""


def picture(rows: Sequence[Row], title: str) -> str:
    """An SVG of the rows that run, at least one, both axes logarithmic.

    Args:
        rows: from :func:`harness.explore.results.ranked`.
        title: what was swept, and what was assumed.
    """
    shown = [row for row in rows if row.refused is None]
    x = around((row.luts for row in shown), log=True)
    y = around((row.latency_ms for row in shown), log=True)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}</style>",
            f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}"/>',
            f'<text class="title" x="{LEFT}" y="30">{escape(title)}</text>',
            *_axes(x, y),
            *_points(shown, x, y),
            "</svg>\n",
        ]
    )


def _across(x: Scale, value: float) -> float:
    return round(LEFT + x(value) * (WIDTH - LEFT - RIGHT), 1)


def _down(y: Scale, value: float) -> float:
    return round(HEIGHT - BOTTOM - y(value) * (HEIGHT - TOP - BOTTOM), 1)


def _axes(x: Scale, y: Scale) -> Iterator[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    for tick in x.ticks():
        place = _across(x, tick)
        yield f'<line class="grid" x1="{place}" x2="{place}" y1="{TOP}" y2="{bottom}"/>'
        yield (
            f'<text class="tick" x="{place}" y="{bottom + 20}" text-anchor="middle">'
            f"{tick / 1e3:,g} k</text>"
        )
    for tick in y.ticks():
        place = _down(y, tick)
        yield f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{place}" y2="{place}"/>'
        yield (
            f'<text class="tick" x="{LEFT - 10}" y="{place + 5}" text-anchor="end">'
            f"{tick:g} ms</text>"
        )
    yield f'<text class="soft" x="{LEFT}" y="{TOP - 14}">latency of one image, modelled</text>'
    yield (
        f'<text class="soft" x="{right}" y="{HEIGHT - 14}" text-anchor="end">'
        "area, LUTs and their equivalents, estimated</text>"
    )


def _points(rows: Sequence[Row], x: Scale, y: Scale) -> Iterator[str]:
    places = {id(row): (_across(x, row.luts), _down(y, row.latency_ms)) for row in rows}
    front = [row for row in rows if row.front]
    steps: list[str] = []
    for row in front:  # from the quickest, and largest, on
        left, top = places[id(row)]
        steps += [f"V{top} H{left}"] if steps else [f"M{left} {top}"]
    yield f'<path class="front" d="{" ".join(steps)}"/>'
    for row in sorted(rows, key=lambda row: row.front):
        left, top = places[id(row)]
        about = (
            f"{row.name} at {row.clock}: {row.latency_ms:.3f} ms, "
            f"{row.utilization:.1%} of the MACs, {row.luts / 1e3:,.0f} k LUTs"
        )
        kind = "dot best" if row.front else "dot"
        yield (
            f'<circle class="{kind}" cx="{left}" cy="{top}" r="5">'
            f"<title>{escape(about)}</title></circle>"
        )
    taken: list[tuple[float, float]] = []
    for row in front:
        left, top = places[id(row)]
        if all(abs(left - a) > 150 or abs(top - b) > 15 for a, b in taken):
            taken.append((left, top))
            yield f'<text x="{left + 9}" y="{top - 7}">{escape(row.name)}</text>'
