"""ResNet50 in PyTorch, batch normalization folded into the convolutions.

He et al., "Deep Residual Learning for Image Recognition" (2015), with fifty layers. The two
published versions differ in where a stage that halves the feature map does so: v1 in the first 1x1
convolution of its first block, v1.5 in that block's 3x3.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from sw.models import weights
from sw.models.architecture import CLASSES, EXPANSION, STAGES, VERSIONS, Version


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolution around a shortcut.

    Args:
        channels: in.
        width: channels of the first two convolutions; ``EXPANSION * width`` come out.
        stride: of the whole block.
        version: which convolution strides.
        project: whether the shortcut is a 1x1 convolution instead of the input itself.
    """

    def __init__(
        self, channels: int, width: int, *, stride: int, version: Version, project: bool
    ) -> None:
        super().__init__()
        first, second = (stride, 1) if version == "v1" else (1, stride)
        out = EXPANSION * width
        self.conv1 = nn.Conv2d(channels, width, 1, stride=first)
        self.conv2 = nn.Conv2d(width, width, 3, stride=second, padding=1)
        self.conv3 = nn.Conv2d(width, out, 1)
        self.downsample = nn.Conv2d(channels, out, 1, stride=stride) if project else None

    def forward(self, x: Tensor) -> Tensor:
        """Float32 [N, channels, H, W] to [N, EXPANSION * width, H / stride, W / stride]."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = functional.relu(self.conv1(x))
        x = functional.relu(self.conv2(x))
        return functional.relu(self.conv3(x) + shortcut)


class ResNet50(nn.Module):
    """The network from image to logits.

    Args:
        version: where a stage strides.

    Raises:
        ValueError: ``version`` is not one of ``VERSIONS``.
    """

    def __init__(self, version: Version) -> None:
        super().__init__()
        if version not in VERSIONS:
            raise ValueError(f"version must be one of {VERSIONS}, not {version!r}")
        self.version = version
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels = 64
        stages = []
        for stage, (width, depth) in enumerate(STAGES):
            blocks = []
            for block in range(depth):
                blocks.append(
                    Bottleneck(
                        channels,
                        width,
                        stride=2 if stage > 0 and block == 0 else 1,
                        version=version,
                        project=block == 0,
                    )
                )
                channels = EXPANSION * width
            stages.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Float32 [N, 3, 224, 224] to logits [N, 1000]."""
        x = self.maxpool(functional.relu(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        logits: Tensor = self.fc(torch.flatten(self.avgpool(x), 1))
        return logits


def load(path: Path, version: Version | None = None) -> tuple[ResNet50, weights.Weights]:
    """ResNet50 with the trained weights of a file, in evaluation mode.

    Args:
        path: what ``torch.save`` wrote, or safetensors, with Keras or torchvision names.
        version: default: what weights of that naming are published as.

    Returns:
        The network, and what was found in the file.

    Raises:
        DnaError: the file cannot be used; the message names it and the tensor at fault.
    """
    found = weights.read(path)
    with torch.device("meta"):  # no random weights before those of the file
        model = ResNet50(version or found.naming.version)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    folded = weights.fold(found, shapes)
    state = {name: torch.from_numpy(value) for name, value in folded.items()}
    model.load_state_dict(state, assign=True)
    return model.eval(), found
