"""An ONNX file in all runtimes: ONNX Runtime, and the graph in our engines and in LiteRT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.data.inputs import random_inputs
from harness.verify.side_by_side import Machine, on_the_machine
from sim.compare.engines import ENGINES, Comparer, total
from sw.host.extras import needs


def compared_onnx(
    path: Path, count: int, config_name: str | None = None, rtl: str | None = None
) -> tuple[dict[str, Any], Machine | None]:
    """Figures of every operation on ``count`` random inputs, for JSON, and of its program.

    Args:
        path: the file.
        count: of the inputs.
        config_name: of the machine that runs a program of it; None: none does.
        rtl: as for :func:`harness.verify.side_by_side.on_the_machine`.

    Raises:
        DnaError: the file is refused, or a runtime cannot run it.
    """
    with needs("bench"):
        from sim.compare.onnx import OnnxMeasurer, faults
        from sw.frontends.onnx import import_file
    imported = import_file(path)
    graph = imported.graph
    images = list(random_inputs(graph.tensors[graph.input].shape, count))
    measurer, comparer = OnnxMeasurer(path, imported), Comparer(graph)
    measured = measurer.measure(images)
    whole = measurer.whole(images, measured)
    rows = {row.operation: row for row in total(comparer.image(image) for image in images)}
    ran = None if config_name is None else on_the_machine(graph, config_name, images[0], rtl)
    figures = {
        "values": sum(row.values for row in rows.values()),
        "mismatches": sum(row.mismatches for row in rows.values()),
        "faults": faults(measured, whole),
        "operators": [
            {
                "name": each.operation,
                "kind": each.kind,
                "values": rows[each.operation].values,
                "mismatches": rows[each.operation].mismatches,
                "onnx_values": each.values,
                "onnx_differ": each.differing,
                "onnx_largest": each.largest,
                "onnx_unexplained": each.unexplained,
                "tensor": each.operation,
                **{f"{name}_differ": rows[each.operation].differ.get(name, 0) for name in ENGINES},
                **(
                    {f"{name}_differ": ran.of(name, each.operation) for name in ran.engines}
                    if ran
                    else {}
                ),
            }
            for each in measured
        ],
    }
    return figures, ran
