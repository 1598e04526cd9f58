"""Whole networks in PyTorch, written from their papers, with random weights."""

import torch
from torch import nn
from torch.nn import functional

from tests.support.torch_networks import Squeeze, block, random_statistics

LARGE = (
    *((3, 16, 16, False, nn.ReLU, 1), (3, 64, 24, False, nn.ReLU, 2)),
    *((3, 72, 24, False, nn.ReLU, 1), (5, 72, 40, True, nn.ReLU, 2)),
    *((5, 120, 40, True, nn.ReLU, 1), (5, 120, 40, True, nn.ReLU, 1)),
    *((3, 240, 80, False, nn.Hardswish, 2), (3, 200, 80, False, nn.Hardswish, 1)),
    *((3, 184, 80, False, nn.Hardswish, 1), (3, 184, 80, False, nn.Hardswish, 1)),
    *((3, 480, 112, True, nn.Hardswish, 1), (3, 672, 112, True, nn.Hardswish, 1)),
    *((5, 672, 160, True, nn.Hardswish, 2), (5, 960, 160, True, nn.Hardswish, 1)),
    (5, 960, 160, True, nn.Hardswish, 1),
)
"""Howard et al., Searching for MobileNetV3, 2019, table 1: kernel, expansion, channels, squeeze,
activation, stride."""

LITE0 = (
    *((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80)),
    *((3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)),
)
"""Tan and Le, EfficientNet, 2019, table 1: repeats, kernel, first stride, expansion, channels. Lite
has neither squeeze nor swish."""


def wide(channels, width):
    """So much of a number of channels, in eights."""
    return max(8, int(channels * width + 4) // 8 * 8)


class Bottleneck(nn.Module):
    """Expand, filter by channel, weigh, project; the input on top where the shapes allow it."""

    def __init__(self, inputs, hidden, outputs, kernel, stride, activation, squeeze=False):
        super().__init__()
        layers = [] if hidden == inputs else [block(inputs, hidden, 1, activation=activation)]
        layers.append(block(hidden, hidden, kernel, stride, hidden, activation))
        layers += [Squeeze(hidden)] if squeeze else []
        layers.append(block(hidden, outputs, 1, activation=None))
        self.layers = nn.Sequential(*layers)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.layers(x) if self.adds else self.layers(x)


class MobileNetV3Large(nn.Module):
    """MobileNetV3-Large with ``width`` of the paper's channels."""

    def __init__(self, width=1.0, classes=1000):
        super().__init__()
        channels = wide(16, width)
        layers = [block(3, channels, 3, 2, activation=nn.Hardswish)]
        for kernel, hidden, outputs, squeeze, activation, stride in LARGE:
            sizes = channels, wide(hidden, width), wide(outputs, width)
            layers.append(Bottleneck(*sizes, kernel, stride, activation, squeeze))
            channels = sizes[2]
        last, flat = wide(960, width), wide(1280, width)
        layers.append(block(channels, last, 1, activation=nn.Hardswish))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(last, flat), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(flat, classes)
        )

    def forward(self, x):
        x = functional.adaptive_avg_pool2d(self.features(x), 1)
        return self.classifier(torch.flatten(x, 1))


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 with ``width`` of the paper's channels."""

    def __init__(self, width=1.0, classes=1000):
        super().__init__()
        channels = wide(32, width)
        layers = [block(3, channels, 3, 2)]
        for repeats, kernel, stride, expansion, outputs in LITE0:
            for number in range(repeats):
                first, target = stride if number == 0 else 1, wide(outputs, width)
                sizes = channels, channels * expansion, target
                layers.append(Bottleneck(*sizes, kernel, first, nn.ReLU6))
                channels = target
        layers.append(block(channels, wide(1280, width), 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(wide(1280, width), classes)

    def forward(self, x):
        x = functional.adaptive_avg_pool2d(self.features(x), 1)
        return self.classifier(torch.flatten(x, 1))


def conv(inputs, outputs, kernel=1, stride=1, groups=1):
    """A convolution with SiLU behind it."""
    return block(inputs, outputs, kernel, stride, groups, nn.SiLU)


class Twice(nn.Module):
    """Two convolutions and the input on top."""

    def __init__(self, channels, hidden):
        super().__init__()
        self.layers = nn.Sequential(conv(channels, hidden, 3), conv(hidden, channels, 3))

    def forward(self, x):
        return x + self.layers(x)


class Crossed(nn.Module):
    """Two ways through half of the channels each, one of them of two :class:`Twice`."""

    def __init__(self, channels):
        super().__init__()
        half = channels // 2
        self.short, self.long = conv(channels, half), conv(channels, half)
        self.layers = nn.Sequential(Twice(half, half), Twice(half, half))
        self.join = conv(2 * half, channels)

    def forward(self, x):
        return self.join(torch.cat((self.layers(self.long(x)), self.short(x)), 1))


class Split(nn.Module):
    """Half of the channels go on as they are, the others also through what is inside."""

    def __init__(self, inputs, outputs, crossed, part=0.5):
        super().__init__()
        hidden = int(outputs * part)
        self.first = conv(inputs, 2 * hidden)
        self.inner = Crossed(hidden) if crossed else Twice(hidden, hidden // 2)
        self.last = conv(3 * hidden, outputs)

    def forward(self, x):
        kept, y = self.first(x).chunk(2, 1)
        return self.last(torch.cat((kept, y, self.inner(y)), 1))


class Pyramid(nn.Module):
    """Maxima over ever larger windows, side by side."""

    def __init__(self, channels):
        super().__init__()
        half = channels // 2
        self.first, self.last = conv(channels, half), conv(4 * half, channels)

    def forward(self, x):
        maps = [self.first(x)]
        for _ in range(3):
            maps.append(functional.max_pool2d(maps[-1], 5, 1, 2))
        return self.last(torch.cat(maps, 1))


class Head(nn.Module):
    """Distributions of the sides of boxes, and classes, of one scale."""

    def __init__(self, channels, boxes, hidden, classes):
        super().__init__()
        self.boxes = nn.Sequential(
            conv(channels, boxes, 3), conv(boxes, boxes, 3), nn.Conv2d(boxes, 64, 1)
        )
        self.classes = nn.Sequential(
            *(conv(channels, channels, 3, groups=channels), conv(channels, hidden)),
            *(conv(hidden, hidden, 3, groups=hidden), conv(hidden, hidden)),
            nn.Conv2d(hidden, classes, 1),
        )

    def forward(self, x):
        return self.boxes(x), self.classes(x)


class Detector(nn.Module):
    """The shape of YOLO11n without its attention: six maps, boxes and classes of three scales.

    ``width`` is of the channels of the nano network.
    """

    def __init__(self, width=1.0, classes=80):
        super().__init__()
        a, b, c, d, e = (wide(each, width) for each in (16, 32, 64, 128, 256))
        self.stem = nn.Sequential(conv(3, a, 3, 2), conv(a, b, 3, 2), Split(b, c, False, 0.25))
        self.third = nn.Sequential(conv(c, c, 3, 2), Split(c, d, False, 0.25))
        self.fourth = nn.Sequential(conv(d, d, 3, 2), Split(d, d, True))
        self.fifth = nn.Sequential(conv(d, e, 3, 2), Split(e, e, True), Pyramid(e))
        self.up4, self.up3 = Split(e + d, d, False), Split(d + d, c, False)
        self.down4, self.down5 = conv(c, c, 3, 2), conv(d, d, 3, 2)
        self.out4, self.out5 = Split(c + d, d, False), Split(d + e, e, True)
        boxes, hidden = max(16, c // 4, 64), max(c, min(classes, 100))
        self.heads = nn.ModuleList(Head(each, boxes, hidden, classes) for each in (c, d, e))

    def forward(self, x):
        third = self.third(self.stem(x))
        fourth = self.fourth(third)
        fifth = self.fifth(fourth)
        middle = self.up4(torch.cat((functional.interpolate(fifth, scale_factor=2), fourth), 1))
        small = self.up3(torch.cat((functional.interpolate(middle, scale_factor=2), third), 1))
        middle = self.out4(torch.cat((self.down4(small), middle), 1))
        large = self.out5(torch.cat((self.down5(middle), fifth), 1))
        maps = zip(self.heads, (small, middle, large), strict=True)
        return tuple(each for head, found in maps for each in head(found))


def mobilenet_v3_large():
    """What ``dna quantize --model`` calls."""
    return random_statistics(MobileNetV3Large())


def efficientnet_lite0():
    """Likewise."""
    return random_statistics(EfficientNetLite0())


def detector():
    """Likewise."""
    return random_statistics(Detector())
