"""What the computer is asked for: child processes, files, their digests, optional packages."""
