"""The machine's ports: AXI4 to memory, AXI4-Lite with the registers."""
