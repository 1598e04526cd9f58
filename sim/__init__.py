"""The ways to run a quantized network: plain reference, fast functional model, RTL simulation."""
