"""Commands that say what a machine would score, and what it takes to build it."""
