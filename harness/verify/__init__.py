"""``dna verify``: programs and single layers on RTL against the functional model."""

INTERPRETER = "interpreter"
"""The name of the interpreter where one of the simulators of the RTL could stand."""
