"""The blocks of a machine and what goes between them, as a picture."""

from __future__ import annotations

from collections.abc import Iterator

from hw.config import DnaConfig

WIDTH, HEIGHT = 760, 716
_LEFT, _RIGHT = 60, 740
_CELLS = 6
"""Rows and columns that stand for those of an array."""

_STYLE = """
  text { font: 15px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
    fill: #15202b; }
  .title { font-size: 19px; font-weight: 650; }
  .name { font-weight: 650; }
  .soft { fill: #56626e; font-size: 13px; }
  .paper { fill: #ffffff; }
  .box { fill: #f4f6f8; stroke: #8794a1; }
  .memory { fill: #e3eefb; stroke: #1763b8; }
  .array { fill: #1763b8; }
  .cell { stroke: #ffffff; }
  .way { fill: none; stroke: #56626e; stroke-width: 2; }
  .head { fill: #56626e; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e4eaf0; }
    .soft { fill: #9aa7b4; }
    .paper { fill: #10161c; }
    .box { fill: #18212a; stroke: #56626e; }
    .memory { fill: #16293d; stroke: #5aa2ee; }
    .array { fill: #5aa2ee; }
    .cell { stroke: #10161c; }
    .way { stroke: #9aa7b4; }
    .head { fill: #9aa7b4; }
  }
"""


def picture(config: DnaConfig) -> str:
    """An SVG of the machine: from memory, through the arrays, back to memory."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            f"<title>The machine {config.name}</title>",
            f"<style>{_STYLE}</style>",
            '<marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
            'markerHeight="7" orient="auto-start-reverse">'
            '<path class="head" d="M0 0 L10 5 L0 10 z"/></marker>',
            f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}"/>',
            _text(
                f"{config.name}: {config.modules} convolution modules of {config.rows} x "
                f"{config.columns} = {config.macs:,} multipliers",
                _LEFT,
                32,
                "title",
                "start",
            ),
            *_memory_side(config),
            *_arrays(config),
            *_behind(config),
            "</svg>\n",
        ]
    )


def _memory_side(config: DnaConfig) -> Iterator[str]:
    fifo = config.weight_fifo_words * config.dram_bytes_per_cycle
    feature = config.feature_words * config.rows
    ports = f"{config.dram_ports} AXI4 ports" if config.dram_ports > 1 else "AXI4"
    bandwidth = f"{ports}, {config.dram_bytes_per_cycle} bytes a cycle"
    yield from _box(_LEFT, 52, 680, 48, "external memory", bandwidth)
    yield from _box(_LEFT, 140, 145, 56, "sequencer", "instructions, tokens")
    yield from _box(220, 140, 165, 56, "LOAD", "image, maps, windows")
    yield from _box(410, 140, 110, 56, "STORE", "results")
    yield from _box(550, 140, 190, 56, "weight stream", f"FIFO of {_size(fifo)}")
    yield from _box(
        220,
        244,
        300,
        60,
        "feature memory",
        f"{config.modules} banks, {_size(feature)}, int8",
        "memory",
    )
    yield from _box(568, 244, 116, 60, "POOL", "max, mean")
    for x in (132, 302, 645):
        yield _way(f"M{x} 100 V138")
    yield _way("M302 196 V242")
    yield _way("M465 244 V198")
    yield _way("M465 140 V102")
    yield _way("M522 274 H566", both=True)
    yield _way("M712 196 V328")
    yield _text("weights", 702, 324, "soft", "end")
    yield _way("M370 304 V328")
    yield _text("activations", 380, 324, "soft", "start")


def _arrays(config: DnaConfig) -> Iterator[str]:
    """The modules side by side, and a way from each to the interconnect and on."""
    pitch = (_RIGHT - _LEFT) / config.modules
    side = min(72.0, pitch - 10)
    yield f'<path class="way" d="M{_LEFT} 331 H{_RIGHT}"/>'
    for module in range(config.modules):
        x = _LEFT + module * pitch + (pitch - side) / 2
        yield f'<rect class="array" x="{x:g}" y="350" width="{side:g}" height="{side:g}"/>'
        step = side / _CELLS
        for line in range(1, _CELLS):
            at = line * step
            lines = f"M{x + at:g} 350 v{side:g} M{x:g} {350 + at:g} h{side:g}"
            yield f'<path class="cell" d="{lines}"/>'
        middle = x + side / 2
        yield _way(f"M{middle:g} 331 V348")
        yield _way(f"M{middle:g} {350 + side:g} V456")
        yield _way(f"M{middle:g} 506 V542")


def _behind(config: DnaConfig) -> Iterator[str]:
    yield from _box(
        _LEFT,
        458,
        680,
        48,
        "reconfigurable interconnect and adders",
        "each instruction says how many modules share a sum",
    )
    yield from _box(
        _LEFT,
        544,
        680,
        48,
        "accumulation memory",
        f"{config.modules} banks of {config.columns} x int32, two tiles of "
        f"{config.accumulation_depth} pixels",
        "memory",
    )
    yield _way("M400 592 V628")
    yield from _box(
        _LEFT,
        630,
        680,
        52,
        "POST",
        f"requantize, add the residual, clamp: {config.lanes} channels a cycle",
    )
    yield _way("M58 656 H30 V274 H218", both=True)
    yield _text("results, and residuals", 20, 470, "soft", "middle", turned=True)


def _box(
    x: float, y: float, width: float, height: float, name: str, about: str, kind: str = "box"
) -> Iterator[str]:
    yield f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="4"/>'
    middle = y + height / 2
    yield _text(name, x + width / 2, middle - 3, "name", "middle")
    yield _text(about, x + width / 2, middle + 16, "soft", "middle")


def _text(text: str, x: float, y: float, kind: str, anchor: str, *, turned: bool = False) -> str:
    turn = f' transform="rotate(-90 {x:g} {y:g})"' if turned else ""
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}"{turn}>{text}</text>'


def _way(path: str, *, both: bool = False) -> str:
    """An arrow along a path, or one with two heads."""
    start = ' marker-start="url(#tip)"' if both else ""
    return f'<path class="way" d="{path}" marker-end="url(#tip)"{start}/>'


def _size(count: int) -> str:
    """Bytes, a power of two, in the largest unit."""
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= unit:
            return f"{count / unit:g} {name}"
    return f"{count} B"
