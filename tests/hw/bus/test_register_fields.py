import pytest

from hw.bus.register_fields import Access, Field, Register

WORD = (Field("value", Access.RW, "a number", 32),)


def test_a_field_has_its_place_and_its_mask():
    register = Register(
        "three",
        8,
        (
            Field("a", Access.R, "one"),
            Field("b", Access.RW, "two", 4),
            Field("c", Access.W, "more"),
        ),
    )
    assert [register.shift(name) for name in "abc"] == [0, 1, 5]
    assert [register.mask(name) for name in "abc"] == [1, 0b11110, 0b100000]
    assert register.writable
    assert register.doc == "bit 0: one; bit 1: two; bit 5: more; reads as 0"
    assert not Register("id", 0, (Field("value", Access.R, "a number", 32),)).writable
    for method in (register.shift, register.mask):
        with pytest.raises(ValueError, match="three has no field 'd'"):
            method("d")


@pytest.mark.parametrize("width", [0, 33])
def test_a_field_of_a_bad_width_is_refused(width):
    with pytest.raises(ValueError, match=f"width must be from 1 to 32, not {width}"):
        Field("value", Access.R, "a number", width)


@pytest.mark.parametrize("reset", [-1, 4])
def test_a_field_with_a_bad_reset_is_refused(reset):
    with pytest.raises(ValueError, match=f"value: reset {reset} does not fit 2 bits"):
        Field("value", Access.RW, "a number", 2, reset)


@pytest.mark.parametrize(
    ("offset", "fields", "message"),
    [
        (2, WORD, "offset must be a multiple of 4, not 2"),
        (-4, WORD, "offset must be a multiple of 4, not -4"),
        (0, (), r"fields must have names of their own, not \[\]"),
        (0, WORD + WORD, "names of their own, not .'value', 'value'."),
        (0, (*WORD, Field("more", Access.R, "a bit")), "fields must fit 32 bits, not 33"),
    ],
)
def test_a_bad_register_is_refused(offset, fields, message):
    with pytest.raises(ValueError, match=f"x: .*{message}"):
        Register("x", offset, fields)
