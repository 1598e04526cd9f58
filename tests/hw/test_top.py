import re

from hw import rtlil
from hw.config import PRESETS
from hw.top import Dna, ObservedDna


def modules(component):
    """Text of each module by its name, what differs from run to run left out."""
    text = rtlil.convert(component(PRESETS["nano"]), name="dna")
    text = re.sub(r'^ *attribute \\src "[^"]*"\n', "", text, flags=re.M)
    text = re.sub(r"\$\d+", "$", text)
    return dict(re.findall(r"^module \\(\S+)\n(.*?)^end\n", text, re.M | re.S))


def test_what_is_verified_is_what_is_shipped_and_ports():
    """The same modules, letter for letter; in the two that pass ports on, the same cells."""
    shipped, observed = modules(Dna), modules(ObservedDna)
    assert len(shipped) > 50
    assert shipped.keys() == observed.keys()
    others = {"dna", "dna.core"}
    assert {name for name in shipped if shipped[name] != observed[name]} <= others
    for name in others:
        cells = [
            [line for line in text.splitlines() if line.startswith(("  cell ", "  process "))]
            for text in (shipped[name], observed[name])
        ]
        assert len(cells[0]) > 2
        assert cells[0] == cells[1]
    ports = [
        set(re.findall(r"^  wire .*?(?:input|output) \d+ +(?:signed )?\\(\S+)$", top["dna"], re.M))
        for top in (shipped, observed)
    ]
    assert "interrupt" in ports[0] and not any("trace" in port for port in ports[0])
    more = {re.sub(r"__.*", "", port) for port in ports[1] - ports[0]}
    traces = {f"{writer}_trace" for writer in ("post", "pool", "load", "depthwise")}
    assert more == {"busy", "activity", "layers", *traces}
    assert ports[0] < ports[1]
