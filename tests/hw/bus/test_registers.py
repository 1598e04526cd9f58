import re

from hw.bus import registers


def test_the_page_shows_every_field_once():
    rows = re.findall(r"^\| `(\w+)` \| [\d:]+ \| `(\w+)` \|", registers.document(), re.M)
    assert rows == [(r.name, field.name) for r in registers.REGISTERS for field in r.fields]


def test_driver_constants_are_the_bits_that_the_page_shows():
    assert (registers.CONTROL_START, registers.CONTROL_RESET) == (1, 2)
    assert (registers.STATUS_BUSY, registers.STATUS_DONE, registers.STATUS_ERROR) == (1, 2, 4)
    assert registers.ALL_EVENTS == 0b11
