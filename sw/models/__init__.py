"""Networks in PyTorch, as the frontends quantize them."""
