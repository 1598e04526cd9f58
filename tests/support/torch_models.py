"""A small PyTorch network for each row of the table of operators."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

SHAPE = (9, 8, 3)


class Around(nn.Module):
    """A function between a convolution with 8 channels and a linear layer over all."""

    def __init__(self, function: Callable[[Tensor], Tensor], *modules: nn.Module) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.function = function
        self.inner = nn.ModuleList(modules)
        with torch.no_grad():
            values = self.run(torch.zeros(1, SHAPE[2], *SHAPE[:2])).numel()
        self.fc = nn.Linear(values, 5)

    def run(self, x: Tensor) -> Tensor:
        x = self.function(self.conv(x))
        for module in self.inner:
            x = module(x)
        return torch.flatten(x, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.run(x))


class SoftmaxBehind(Around):
    def forward(self, x: Tensor) -> Tensor:
        return functional.softmax(super().forward(x), 1)


def _same(x: Tensor) -> Tensor:
    return x


EXAMPLES: dict[str, Callable[[], nn.Module]] = {
    "convolution": lambda: Around(_same, nn.Conv2d(8, 4, (3, 2), (2, 1), (1, 0))),
    "depthwise convolution": lambda: Around(
        _same, nn.Conv2d(8, 16, 3, (1, 2), 1, groups=8, bias=False), nn.BatchNorm2d(16)
    ),
    "grouped convolution": lambda: Around(
        _same, nn.Conv2d(8, 6, 3, 1, 1, groups=2), nn.BatchNorm2d(6)
    ),
    "transposed convolution": lambda: Around(
        _same, nn.ConvTranspose2d(8, 4, (3, 2), 2, 1, output_padding=1), nn.ReLU()
    ),
    "fully connected": lambda: Around(_same),
    "addition": lambda: Around(lambda x: x + functional.max_pool2d(x, 1)),
    "multiplication": lambda: Around(
        lambda x: functional.adaptive_avg_pool2d(functional.max_pool2d(x, 2, 1), 1) * x
    ),
    "extremum": lambda: Around(
        lambda x: torch.minimum(
            torch.maximum(x, functional.adaptive_avg_pool2d(x, 1)),
            functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
        )
    ),
    "parametric ReLU": lambda: Around(_same, nn.PReLU(8)),
    "bilinear resize": lambda: Around(
        lambda x: functional.interpolate(x, scale_factor=2, mode="bilinear")
    ),
    "function": lambda: Around(
        nn.SiLU(), nn.Hardswish(), nn.LeakyReLU(0.1), nn.Sigmoid(), nn.Hardsigmoid()
    ),
    "concatenation": lambda: Around(lambda x: torch.cat([x, nn.functional.max_pool2d(x, 1)], 1)),
    "slice": lambda: Around(
        lambda x: torch.cat([*x.chunk(4, 1)[::-1], x[:, 1:3], *x.split([3, 5], 1)], 1),
        nn.Conv2d(18, 4, 3),
    ),
    "nearest resize": lambda: Around(nn.Upsample(scale_factor=2)),
    "interleaving": lambda: Around(_same, nn.PixelShuffle(2)),
    "max-pool": lambda: Around(_same, nn.MaxPool2d((3, 2), (2, 1))),
    "average-pool": lambda: Around(_same, nn.AvgPool2d(3, 1, 1, count_include_pad=False)),
    "mean": lambda: Around(
        lambda x: (x - functional.adaptive_avg_pool2d(x, 1)).mean(2, keepdim=True)
    ),
    "padding": lambda: Around(_same, nn.ZeroPad2d((1, 0, 2, 1)), nn.Conv2d(8, 4, 3)),
    "activation": lambda: Around(nn.ReLU6()),
    "view": lambda: Around(lambda x: x.view(x.size(0), -1), nn.Dropout(), nn.Linear(576, 6)),
    "quantization": lambda: Around(_same),
    "softmax": lambda: SoftmaxBehind(_same),
}
"""A network with an operator of each row of the table."""


def images(shape: tuple[int, ...] = SHAPE, count: int = 8, seed: int = 0) -> list[np.ndarray]:
    """Calibration images, float32 [height, width, channels]."""
    rng = np.random.default_rng(seed)
    return list(rng.normal(0.3, 1, (count, *shape)).astype(np.float32))


def with_random_weights(model: nn.Module, seed: int = 0) -> nn.Module:
    """``model`` in evaluation mode, with other weights and statistics of its normalizations."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = torch.randn(module.num_features, generator=generator) * 0.3
            module.running_var = torch.rand(module.num_features, generator=generator) + 0.5
            module.weight.data = torch.rand(module.num_features, generator=generator) + 0.5
    return model.eval()
