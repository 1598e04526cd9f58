"""Which padding a TFLite operator has that places its windows as an operation of the graph does."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from sw.operations import Tensor, Windowed


def padding_mode(operation: Windowed, source: Tensor, target: Tensor) -> int | None:
    """SAME or VALID if one of them places the windows as ``operation`` does, else None.

    SAME computes ceil(size / stride) outputs and puts the smaller half of what it needs in front.
    Padding behind the last window is never read, so only the front has to agree.
    """
    same = valid = True
    fronts = (operation.padding.top, operation.padding.left)
    for axis, front in enumerate(fronts):
        size, out = source.shape[axis], target.shape[axis]
        kernel, stride = operation.kernel[axis], operation.stride[axis]
        needed = max((out - 1) * stride + kernel - size, 0)
        same = same and out == -(-size // stride) and front == needed // 2
        valid = valid and front == 0 and needed == 0
    if valid:
        return int(schema.Padding.VALID)
    return int(schema.Padding.SAME) if same else None


def sees_padding_alone(operation: Windowed, source: Tensor, target: Tensor) -> bool:
    """Whether a window is behind the edge of a map, where PAD has values and nothing has any."""
    fronts = (operation.padding.top, operation.padding.left)
    return any(
        front >= operation.kernel[axis]
        or (target.shape[axis] - 1) * operation.stride[axis] - front >= source.shape[axis]
        for axis, front in enumerate(fronts)
    )
