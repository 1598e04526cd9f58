"""Choices that concern several layers: by estimate, the quickest together."""
