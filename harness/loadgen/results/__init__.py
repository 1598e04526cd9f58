"""What a test shows while it runs and when it is finished."""
