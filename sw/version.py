"""The version of open DNA, as pyproject.toml, ``dna --version`` and every artifact give it.

Semantic versioning (https://semver.org) of what users build on, as CHANGELOG.md says it.
"""

VERSION = "0.2.0"
