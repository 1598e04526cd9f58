"""``dna verify``: programs and single layers on RTL against the functional model."""
