"""What LoadGen is told."""
