"""The dimensions of ResNet50, whatever framework builds it."""

from __future__ import annotations

from typing import Literal

Version = Literal["v1", "v1.5"]

VERSIONS: tuple[Version, ...] = ("v1", "v1.5")
STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))
"""Width and number of blocks of each stage."""
EXPANSION = 4
CLASSES = 1000
IMAGE = (224, 224, 3)
