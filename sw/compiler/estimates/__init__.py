"""What a choice costs, by estimate: this ranks choices and is printed, and decides nothing else."""

from sw.compiler.estimates.layers import Estimate, estimate
from sw.compiler.estimates.tiles import TilingEstimate, estimate_tiling

__all__ = ["Estimate", "TilingEstimate", "estimate", "estimate_tiling"]
