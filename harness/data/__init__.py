"""What is fed to networks: photographs, arrays, lists, and where they come from."""
