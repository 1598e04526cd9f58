"""What a choice costs, by estimate: this ranks choices and is printed, and decides nothing else."""

from sw.compiler.estimates.layers import Estimate, depthwise_cycles, estimate
from sw.compiler.estimates.tiles import TilingEstimate, estimate_tiling

__all__ = ["Estimate", "TilingEstimate", "depthwise_cycles", "estimate", "estimate_tiling"]
