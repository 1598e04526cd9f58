"""Random ONNX models against ONNX Runtime, many of them: ``python -m tests.sweeps.onnx_sweep``.

Float networks of random operators, quantized by ONNX Runtime (QDQ), imported, and every operation
compared with ONNX Runtime on its operands, the whole network too; and the graph in the functional
model and in LiteRT. Prints what was compared and exits with 1 if a value differs that rounding does
not explain, or if any of ours differs from LiteRT's.
"""

import argparse
import logging
import math
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sim.compare.engines import Comparer
from sim.compare.onnx import OnnxMeasurer, faults
from sw.errors import DnaError
from sw.frontends.onnx import import_file
from tests.support.onnx_models import FloatNetwork, quantized
from tests.support.programs import noise

MOST_VALUES = 6000
"""Of a map that an operator makes larger."""


class Draw:
    """A map on its way through random operators.

    Attributes:
        x: its name.
        shape: channels, rows, columns.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng, self.net = rng, FloatNetwork(int(rng.integers(1 << 30)))
        self.x, self.shape = "image", (3, 17, 14)
        self.conv()

    def to(self, x: str, channels: int | None = None, rows: int = 0, columns: int = 0) -> None:
        """Go on with another map."""
        before = self.shape
        self.x, self.shape = x, (channels or before[0], rows or before[1], columns or before[2])

    def conv(self) -> None:
        out, groups = int(self.rng.integers(2, 13)), 1
        kernel, dilation = int(self.rng.integers(1, 4)), int(self.rng.integers(1, 3))
        if self.rng.integers(3) == 0:
            groups = int(self.rng.choice([n for n in range(1, 9) if self.shape[0] % n == 0]))
            out = groups * int(self.rng.integers(1, 4))
        pad = dilation * (kernel - 1) // 2
        shrunk = dilation * (kernel - 1) - 2 * pad
        if min(self.shape[1:]) <= shrunk:
            return
        x = self.net.conv(
            self.x, out, self.shape[0], kernel, groups, pads=[pad] * 4, dilations=[dilation] * 2
        )
        if self.rng.integers(2):
            x = self.net.node("Relu", x)
        self.to(x, out, self.shape[1] - shrunk, self.shape[2] - shrunk)

    def transposed(self) -> None:
        if math.prod(self.shape) > MOST_VALUES / 4:
            return
        out, kernel, stride = (int(self.rng.integers(1, 5)) for _ in range(3))
        kernel = max(kernel, stride)
        weights = self.net.weights(self.shape[0], out, kernel, kernel), self.net.weights(out)
        x = self.net.node("ConvTranspose", self.x, *weights, strides=[stride] * 2)
        sizes = [(size - 1) * stride + kernel for size in self.shape[1:]]
        self.to(self.net.node("Relu", x), out, *sizes)

    def join(self) -> None:
        kind = str(self.rng.choice(["Add", "Sub", "Mul", "Max", "Min"]))
        if self.rng.integers(4) == 0:
            kind = str(self.rng.choice([kind, "Div"]))
            number = self.net.constant(float(self.rng.choice([-1.3, 0.4, 3.0])))
            operands = [self.x, number]
            if kind != "Div" and self.rng.integers(2):
                operands.reverse()
            self.to(self.net.node(kind, *operands))
            return
        other = self.net.conv(self.x, self.shape[0], self.shape[0], 1)
        if self.rng.integers(3) == 0:
            other = self.net.node("GlobalAveragePool", other)
        self.to(self.net.node(kind, self.x, other))

    def applied(self) -> None:
        """A function of each value, SiLU or PRelu."""
        kinds = ("Sigmoid", "Tanh", "HardSwish", "HardSigmoid", "LeakyRelu", "Elu", "SiLU", "PRelu")
        kind = str(self.rng.choice(kinds))
        if kind == "SiLU":
            self.to(self.net.node("Mul", self.x, self.net.node("Sigmoid", self.x)))
        elif kind == "PRelu":
            count = self.shape[0] if self.rng.integers(3) else 1
            slopes = self.rng.uniform(-0.5, 1.2, (count, 1, 1))
            self.to(self.net.node("PRelu", self.x, self.net.constant(slopes)))
        else:
            self.to(self.net.node(kind, self.x))

    def concatenated(self) -> None:
        more = int(self.rng.integers(1, 6))
        other = self.net.conv(self.x, more, self.shape[0], 1)
        self.to(self.net.node("Concat", self.x, other, axis=1), self.shape[0] + more)

    def sliced(self) -> None:
        axis = int(self.rng.integers(3))
        begin = int(self.rng.integers(self.shape[axis]))
        end = int(self.rng.integers(begin + 1, self.shape[axis] + 1))
        bounds = [self.net.constant([value], np.int64) for value in (begin, end, axis + 1)]
        shape = list(self.shape)
        shape[axis] = end - begin
        self.to(self.net.node("Slice", self.x, *bounds), *shape)

    def split(self) -> None:
        if self.shape[0] < 2:
            return
        first = int(self.rng.integers(1, self.shape[0]))
        sizes = self.net.constant([first, self.shape[0] - first], np.int64)
        part = self.net.node("Split", self.x, sizes, axis=1)
        self.net.nodes[-1].output.append(f"{part}_rest")
        self.to(self.net.node("Concat", f"{part}_rest", part, axis=1))

    def resized(self) -> None:
        down, across = (int(n) for n in self.rng.choice([1, 2], 2))
        if math.prod(self.shape) * down * across > MOST_VALUES:
            return
        ways = (
            ("nearest", "asymmetric", "floor"),
            ("nearest", "half_pixel", "round_prefer_floor"),
            ("linear", "half_pixel", "floor"),
            ("linear", "asymmetric", "floor"),
        )
        mode, coordinates, rounding = ways[int(self.rng.integers(len(ways)))]
        x = self.net.node(
            "Resize",
            *(self.x, "", self.net.constant([1, 1, down, across])),
            mode=mode,
            coordinate_transformation_mode=coordinates,
            nearest_mode=rounding,
        )
        self.to(x, self.shape[0], self.shape[1] * down, self.shape[2] * across)

    def shuffled(self) -> None:
        if math.prod(self.shape[1:]) > MOST_VALUES / 16:
            return
        each = int(self.rng.integers(1, 4))
        mode = str(self.rng.choice(["DCR", "CRD"]))
        x = self.net.conv(self.x, 4 * each, self.shape[0], 1)
        x = self.net.node("DepthToSpace", x, blocksize=2, mode=mode)
        self.to(x, each, 2 * self.shape[1], 2 * self.shape[2])

    def padded(self) -> None:
        before, after = self.rng.integers(0, 3, (2, 2))
        amounts = self.net.constant([0, 0, *before, 0, 0, *after], np.int64)
        value = self.net.constant(float(self.rng.choice([0.0, 0.5, -1.0])))
        sizes = [int(n) for n in np.array(self.shape[1:]) + before + after]
        self.to(self.net.node("Pad", self.x, amounts, value), self.shape[0], *sizes)

    def pooled(self) -> None:
        if min(self.shape[1:]) < 2:
            return
        kind = str(self.rng.choice(["MaxPool", "AveragePool"]))
        x = self.net.node(kind, self.x, kernel_shape=[2, 2], strides=[1, 1])
        self.to(x, self.shape[0], self.shape[1] - 1, self.shape[2] - 1)


DRAWS: tuple[Callable[[Draw], None], ...] = (
    *(Draw.conv, Draw.transposed, Draw.join, Draw.concatenated, Draw.sliced, Draw.split),
    *(Draw.resized, Draw.shuffled, Draw.padded, Draw.pooled, Draw.applied, Draw.applied),
)


def random_file(rng: np.random.Generator, folder: Path) -> Path:
    """A quantized network of some random operators."""
    draw = Draw(rng)
    for _ in range(int(rng.integers(2, 7))):
        DRAWS[int(rng.integers(len(DRAWS)))](draw)
    draw.to(draw.net.conv(draw.x, 3, draw.shape[0], 1), 3)
    path = draw.net.save(draw.x, folder / "float.onnx", (1, *draw.shape))
    return quantized(path, "QDQ", str(rng.choice(["QUInt8", "QInt8"])))


def compared(path: Path, rng: np.random.Generator) -> tuple[int, int, list[str], int]:
    """Values compared with ONNX Runtime, those that differ, what nothing explains; and LiteRT's.

    Raises:
        DnaError: the file is refused.
    """
    imported = import_file(path)
    images = [noise(rng, imported.graph) for _ in range(2)]
    measurer = OnnxMeasurer(path, imported)
    measured = measurer.measure(images)
    wrong = faults(measured, measurer.whole(images, measured))
    ours = sum(row.mismatches for row in Comparer(imported.graph).image(images[0]))
    values = sum(row.values for row in measured)
    differ = sum(row.differing for row in measured)
    return values, differ, wrong, ours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    logging.disable(logging.CRITICAL)
    values = differ = ours = done = 0
    wrong: list[str] = []
    refused: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(chosen.seed, chosen.seed + chosen.models):
            rng = np.random.default_rng(seed)
            path = random_file(rng, Path(folder))
            try:
                found = compared(path, rng)
            except DnaError as error:
                refused[str(error).partition(": ")[2][:90]] += 1
                continue
            done, values, differ = done + 1, values + found[0], differ + found[1]
            wrong += [f"seed {seed}: {fault}" for fault in found[2]]
            ours += found[3]
    print(
        f"{done} models, {values:,} values against ONNX Runtime: {differ:,} differ, of which "
        f"rounding does not explain {len(wrong)} operations; functional model and reference "
        f"against LiteRT: {ours:,} differ; {sum(refused.values())} refused"
    )
    for line in (*wrong, *(f"{count} x {reason}" for reason, count in refused.most_common())):
        print(line)
    raise SystemExit(1 if wrong or ours else 0)


if __name__ == "__main__":
    main()
