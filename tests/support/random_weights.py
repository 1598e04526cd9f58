"""Random weights for ResNet50 v1.5: ``python -m tests.support.random_weights FILE``.

No trained v1.5 weights can be had from a package registry; for bits and cycles random ones do.
Scales follow He et al. 2015 (fan in), so that activations neither vanish nor explode.
"""

import sys

import numpy as np
import safetensors.numpy

SEED = 15
STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))
EXPANSION = 4


def state(seed: int = SEED) -> dict[str, np.ndarray]:
    """A state dict: float32 arrays by torchvision's names."""
    rng = np.random.default_rng(seed)
    tensors: dict[str, np.ndarray] = {}

    def conv(name: str, norm: str, out: int, into: int, size: int) -> None:
        deviation = (2 / (into * size * size)) ** 0.5
        weight = rng.normal(0, deviation, (out, into, size, size))
        tensors[f"{name}.weight"] = weight.astype(np.float32)
        for what, low, high in (
            ("weight", 0.7, 1.3),
            ("bias", -0.3, 0.3),
            ("running_mean", -0.2, 0.2),
            ("running_var", 0.6, 1.6),
        ):
            tensors[f"{norm}.{what}"] = rng.uniform(low, high, out).astype(np.float32)

    conv("conv1", "bn1", 64, 3, 7)
    channels = 64
    for stage, (width, blocks) in enumerate(STAGES, 1):
        for block in range(blocks):
            name = f"layer{stage}.{block}"
            out = EXPANSION * width
            conv(f"{name}.conv1", f"{name}.bn1", width, channels, 1)
            conv(f"{name}.conv2", f"{name}.bn2", width, width, 3)
            conv(f"{name}.conv3", f"{name}.bn3", out, width, 1)
            if block == 0:
                conv(f"{name}.downsample.0", f"{name}.downsample.1", out, channels, 1)
            channels = out
    tensors["fc.weight"] = rng.normal(0, channels**-0.5, (1000, channels)).astype(np.float32)
    tensors["fc.bias"] = rng.uniform(-0.1, 0.1, 1000).astype(np.float32)
    return tensors


if __name__ == "__main__":
    safetensors.numpy.save_file(state(), sys.argv[1])
