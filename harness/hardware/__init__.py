"""The machine for other tools: Verilog, resources, area."""
