"""Small parts that join valid/ready streams."""
