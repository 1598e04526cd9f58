"""Feature, accumulation and parameter memory."""
