"""A compiler pass over the generated simulator, so that little of it runs in a cycle."""
