import pytest

from harness.host import sources
from sw.errors import DnaError


def test_other_sources_are_refused():
    sources.check_same("a", "a")
    with pytest.raises(DnaError, match="other sources of open-dna"):
        sources.check_same("a", "b")
