"""A submission's tree: its runs, its files, its check."""
