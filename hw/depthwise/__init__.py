"""DEPTHWISE: a line buffer of input rows, nine taps of a channel a cycle, its own requantizers."""
