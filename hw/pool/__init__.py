"""POOL: maximum over windows, mean over maps."""
