"""What becomes of each operator of a file, and what it may read."""
