"""The machine as a netlist: its parts, the borders between them, its longest paths."""
