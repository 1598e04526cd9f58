import gzip

import pytest

from harness.hardware.timing.cells import liberty
from sw.errors import DnaError

HEAD = """
/* cell (COMMENTED) { area : 1; } */
library ("toy cells") {
  nom_process : 1.00; nom_voltage : 0.95; nom_temperature : 125.0;
  operating_conditions (slow) { process : 1; voltage : 0.95; temperature : 125; }
  default_operating_conditions : slow;
  default_wire_load : "5K" ;
  cell (BUF_X1) { area : 1.0;
    pin (A) { direction : input; capacitance : 1; }
    pin (Z) { direction : output; function : "A";
      timing () { related_pin : "A"; cell_rise (scalar) { values ("0.1"); } } } }
  cell (DFF) { area : 5; ff (IQ, IQN) { clocked_on : "CK"; next_state : "D"; }
    pin(D) { direction : input; } pin(CK) { direction : input; clock : true; }
    pin(Q) { direction : output; function : "IQ"; } }
"""
GATES = {
    "BUF_X4": (4, "(A)"),
    "BUF_X9": (9, "A"),
    "CLKBUF": (4.5, "A"),
    "INV": (0.5, "!A"),
}
TEXT = (
    "".join(
        [
            HEAD,
            *(
                f"cell ({name}) {{ area : {area}; pin(A) {{ direction : input; }}"
                f' pin(Z) {{ direction : output; function : "{function}"; }} }}\n'
                for name, (area, function) in GATES.items()
            ),
        ]
    )
    + "}\n"
)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_library(tmp_path, compressed):
    path = tmp_path / "toy.lib"
    path.write_bytes(gzip.compress(TEXT.encode()) if compressed else TEXT.encode())
    library = liberty.read(path)
    assert library.name == "toy.lib"
    assert library.corner == "slow: process 1, 0.95 V, 125 C"
    assert set(library.cells) == {"BUF_X1", "BUF_X4", "BUF_X9", "CLKBUF", "INV", "DFF"}
    assert library.buffer.name == "BUF_X4"
    flip_flop = library.cells["DFF"]
    assert (flip_flop.area, flip_flop.clocks) == (5.0, {"CK"})
    assert flip_flop.ways == {"D": "input", "CK": "input", "Q": "output"}
    assert library.cells["BUF_X1"].loads == {"A": 1.0}
    assert "default_wire_load" not in library.text and "BUF_X9" in library.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("BUF_", "INV_"), None),
        (('function : "A"', 'function : "B"'), None),
        (("nom_voltage", "voltage"), "does not say its corner"),
        (("area : 9", "area : nine"), "has 'nine' where a number belongs"),
        (('"A"; }', '"!A"; }'), None),
    ],
)
def test_other_libraries(tmp_path, change, message):
    path = tmp_path / "toy.lib"
    path.write_text(TEXT.replace(*change))
    if message is None:
        assert liberty.read(path).buffer.area >= 1
        return
    with pytest.raises(DnaError, match=message):
        liberty.read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read the Liberty file .*: No such file"),
        (b"\x1f\x8bnonsense", "cannot read the Liberty file"),
        (b"", "is no Liberty file of a library with buffers"),
        (b"library (x) { cell (A) { area : 1; } }", "is no Liberty file of a library with buffers"),
        (bytes(range(256)), "is no Liberty file of a library with buffers"),
    ],
)
def test_what_is_no_library(tmp_path, content, message):
    path = tmp_path / "toy.lib"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DnaError, match=message):
        liberty.read(path)
