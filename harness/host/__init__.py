"""The computer that we run on: its description, worker processes, our own version."""
