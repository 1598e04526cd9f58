"""One file per command of `dna`."""
