"""Value by value: the functional model against other people's engines."""
