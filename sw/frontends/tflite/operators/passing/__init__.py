"""What leaves no operation on the machine: entries, views, shapes, what the host does."""
