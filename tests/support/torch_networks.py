"""Networks in PyTorch, written from their papers, small and with random weights."""

import torch
from torch import nn

STAGES = (
    *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1)),
    *((6, 160, 3, 2), (6, 320, 1, 1)),
)
"""Sandler et al., MobileNetV2, 2018, table 2: expansion, channels, repeats, first stride."""


def block(inputs, outputs, kernel, stride=1, groups=1, activation=nn.ReLU6):
    """A convolution without bias, batch normalization, an activation."""
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([activation()] if activation else []))


class InvertedResidual(nn.Module):
    """Expand, filter by channel, project; and the input on top where the shapes allow it."""

    def __init__(self, inputs, outputs, stride, expansion):
        super().__init__()
        hidden = inputs * expansion
        expand = [block(inputs, hidden, 1)] if expansion > 1 else []
        self.layers = nn.Sequential(
            *expand,
            block(hidden, hidden, 3, stride, groups=hidden),
            block(hidden, outputs, 1, activation=None),
        )
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.layers(x) if self.adds else self.layers(x)


class MobileNetV2(nn.Module):
    """MobileNetV2 with fewer channels: ``width`` of those of the paper; and fewer ``stages``."""

    def __init__(self, width=0.25, classes=10, stages=7):
        super().__init__()
        channels = _round(32 * width)
        layers = [block(3, channels, 3, 2)]
        for expansion, outputs, repeats, stride in STAGES[:stages]:
            for number in range(repeats):
                wide = _round(outputs * width)
                first = stride if number == 0 else 1
                layers.append(InvertedResidual(channels, wide, first, expansion))
                channels = wide
        layers.append(block(channels, _round(1280 * width), 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(_round(1280 * width), classes))

    def forward(self, x):
        x = nn.functional.adaptive_avg_pool2d(self.features(x), 1)
        return self.classifier(torch.flatten(x, 1))


class Squeeze(nn.Module):
    """Howard et al., Searching for MobileNetV3, 2019: channels weighed by what their means say."""

    def __init__(self, channels):
        super().__init__()
        inner = _round(channels / 4)
        self.down, self.up = nn.Conv2d(channels, inner, 1), nn.Conv2d(inner, channels, 1)

    def forward(self, x):
        y = nn.functional.relu(self.down(nn.functional.adaptive_avg_pool2d(x, 1)))
        return nn.functional.hardsigmoid(self.up(y)) * x


class TwoHeads(nn.Module):
    """A detector in small: two maps of one backbone."""

    def __init__(self):
        super().__init__()
        self.body = block(3, 8, 3, 2)
        self.boxes, self.classes = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 5, 3, padding=1)

    def forward(self, x):
        x = self.body(x)
        return self.boxes(x), self.classes(x)


def _round(channels):
    return max(8, int(channels + 4) // 8 * 8)


def random_statistics(model, seed=0):
    """``model`` in evaluation mode, its batch normalizations as if it had been trained."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.copy_(torch.randn(module.num_features, generator=generator) / 4)
                spread = torch.rand(module.num_features, generator=generator)
                module.running_var.copy_(0.5 + spread)
                module.weight.copy_(0.5 + torch.rand(module.num_features, generator=generator))
                module.bias.copy_(torch.randn(module.num_features, generator=generator) / 4)
            elif isinstance(module, nn.Conv2d | nn.Linear):
                bound = (2 / module.weight[0].numel()) ** 0.5
                module.weight.copy_(torch.randn(module.weight.shape, generator=generator) * bound)
                if module.bias is not None:
                    module.bias.copy_(torch.randn(len(module.bias), generator=generator) / 8)
    return model.eval()


def mobilenet_v2():
    """What ``dna quantize --model`` calls."""
    return random_statistics(MobileNetV2())


def short_mobilenet_v2():
    """Likewise, its first stage."""
    return random_statistics(MobileNetV2(stages=1))


def two_heads():
    """Likewise, a network with two outputs."""
    return random_statistics(TwoHeads())


def no_network():
    """Not a module."""
    return 3


def fails():
    """User's code that goes wrong."""
    raise RuntimeError("no weights here")
