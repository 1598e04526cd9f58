"""The loop that kernels are measured by."""

import pytest

from sim.functional.isa import available
from sim.functional.peak import peak
from tests import skips


@pytest.mark.skipif(not available(), reason=skips.KERNELS)
def test_every_instruction_set_has_a_loop():
    """It counts what it computes; no speed is asserted."""
    for isa in available():
        assert peak(isa, 1) > 0
        assert peak(isa, 2) > 0
