"""PyTorch: post-training quantization of a network by torchao's PT2E."""

from sw.frontends.pytorch.calibration import quantize

__all__ = ["quantize"]
