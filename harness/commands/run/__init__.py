"""Commands that run a network, and compare and time what runs it."""
