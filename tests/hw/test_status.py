from hw.isa import Engine
from hw.status import ACTIVITY_BITS, Activity, waiting


def test_every_activity_fits_its_bits():
    assert max(Activity) < 1 << ACTIVITY_BITS
    assert len(Engine) * ACTIVITY_BITS <= 32  # of the error address


def test_the_address_of_a_watchdog_says_who_waits_for_what():
    waits = {
        Engine.LOAD: Activity.WAIT_DRAM,
        Engine.CONV: Activity.WAIT_WEIGHTS,
        Engine.STORE: Activity.WAIT_OUTPUT,
    }
    address = sum(what << ACTIVITY_BITS * who for who, what in waits.items())
    assert waiting(address) == waits
    assert waiting(0) == {}
