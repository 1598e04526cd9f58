"""The fast functional model."""
