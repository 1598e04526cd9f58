"""The report as one HTML page that needs nothing else."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from harness.report.figures import MEANINGS, OVER, LayerFigures, Report, Use
from harness.report.scales import Scale
from hw.isa import Engine

TRACKS = (
    Engine.LOAD,
    Engine.WEIGHTS,
    Engine.CONV,
    Engine.POST,
    Engine.DEPTHWISE,
    Engine.POOL,
    Engine.STORE,
)
"""The engines of the timeline, from memory to memory."""


def page(report: Report) -> str:
    """The page; styles, scripts and pictures are in it."""
    environment = Environment(
        loader=PackageLoader("harness", "report"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["si"] = _si
    folder = files("harness.report")
    layers = report.layers
    seen = [use for use in Use if any(use in {**layer.uses, **layer.pool} for layer in layers)]
    return environment.get_template("report.html").render(
        report=report,
        style=Markup(folder.joinpath("report.css").read_text()),
        script=Markup(folder.joinpath("report.js").read_text()),
        meanings=MEANINGS,
        lost=[use for use in seen if use not in (Use.MACS, Use.POOL)],
        over=OVER,
        bounds=sorted({layer.bound for layer in layers}),
        tracks=[engine.name for engine in TRACKS],
        roofline=_roofline(report),
        kinds=list(dict.fromkeys(kind for of in report.proved_area.values() for kind in of)),
    )


def _si(value: float, digits: int = 3) -> str:
    """A number in three digits with the prefix of a power of ten."""
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.{digits}g} {prefix}"
    return f"{value:.{digits}g} "


def _roofline(report: Report) -> dict[str, Any]:
    """Places in percent of the plot: from the left, and from the top."""
    macs, port = report.parameters.macs, report.memory["bytes_per_cycle"]
    points = [layer for layer in report.layers if layer.macs and layer.dram_bytes and layer.cycles]
    intensity = {layer.number: layer.macs / layer.dram_bytes for layer in points}
    ridge = macs / port
    x = Scale(
        min([ridge, *intensity.values()]) / 2, max([ridge, *intensity.values()]) * 2, log=True
    )
    speeds = [macs, *(_speed(layer) for layer in points)]
    y = Scale(min(*speeds, port * x.low) / 2, max(speeds) * 2, log=True)

    def place(across: float, up: float) -> tuple[float, float]:
        return round(100 * x(across), 3), round(100 - 100 * y(up), 3)

    return {
        "roof": [place(x.low, port * x.low), place(ridge, macs), place(x.high, macs)],
        "ridge": ridge,
        "above": any(layer.utilization > OVER for layer in points),
        "x_ticks": [(place(tick, macs)[0], tick) for tick in x.ticks()],
        "y_ticks": [(place(x.low, tick)[1], tick) for tick in y.ticks()],
        "bounds": sorted({layer.bound for layer in points}),
        "points": [
            (*place(intensity[layer.number], _speed(layer)), layer, intensity[layer.number])
            for layer in points
        ],
    }


def _speed(layer: LayerFigures) -> float:
    """Multiply-accumulates per cycle."""
    return layer.macs / layer.cycles
