"""Commands that make a network ready: weights, artifact, program."""
