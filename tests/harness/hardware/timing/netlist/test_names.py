"""Names that Amaranth counts through the whole machine."""

from harness.hardware.timing.netlist.names import numbered_by_module
from harness.hardware.verilog import HardwareModule

OUTER = r"""module \dna
  wire width 8 input 0 \port$40$0
  wire width 8 \port$70$3
  cell \dna.inner \one
    connect \port$70$3 \port$40$0 [7:0]
    connect \port$55$0 \port$70$3 [7:0]
  end
end
"""
INNER = r"""module \dna.inner
  wire width 8 input 0 \port$70$3
  wire width 8 output 1 \port$55$0
end
"""


def modules(shift):
    """Both, where something else has ``shift`` signals more."""
    texts = {"dna": OUTER, "dna.inner": INNER}
    for number in (40, 55, 70):
        texts = {
            k: t.replace(f"port${number}$", f"port${number + shift}$") for k, t in texts.items()
        }
    instances = {"dna": {"one": "dna.inner"}, "dna.inner": {}}
    return {name: HardwareModule(name, instances[name], (), text) for name, text in texts.items()}


def test_each_module_counts_for_itself():
    found = numbered_by_module(modules(0))
    assert numbered_by_module(modules(1000)) == found
    inner = [line.split()[-1] for line in found["dna.inner"].rtlil.splitlines() if "wire" in line]
    assert inner == [r"\port$0$3", r"\port$1$0"]
    # The pins of an instance are called as its module calls them.
    assert r"connect \port$0$3 \port$0$0 [7:0]" in found["dna"].rtlil
    assert r"connect \port$1$0 \port$1$3 [7:0]" in found["dna"].rtlil
