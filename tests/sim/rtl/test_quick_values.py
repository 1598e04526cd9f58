"""Slices and concatenations of ``quick_values.h`` beside CXXRTL's own."""

import subprocess

import numpy as np

from sim import yosys
from sim.rtl import library

WIDTHS = (1, 2, 15, 31, 32, 33, 63, 64, 65, 100, 128, 256)


def statements(rng):
    """C++ that prints the values of random expressions of constants."""
    for number in range(30):
        width = int(rng.choice(WIDTHS))
        chunks = ", ".join(f"{rng.integers(0, 1 << 32)}u" for _ in range(-(-width // 32)))
        yield f"value<{width}> v{number} = value<{width}>{{{chunks}}}.trunc<{width}>();"
        last = width % 32
        if last:
            yield f"v{number}.data[{width // 32}] &= {(1 << last) - 1}u;"
        start, stop = sorted(int(bit) for bit in rng.integers(0, width, 2))
        yield f"print(v{number}.slice<{stop}, {start}>().val());"
        constant = f"const_cast<const value<{width}> &>(v{number})"
        yield f"print({constant}.slice<{stop}, {start}>().val());"
        yield f"v{number}.slice<{stop}, {start}>() = value<{stop - start + 1}>{{1u}};"
        yield f"print(v{number});"
        if number >= 5:
            parts = [f"v{number - back}" for back in rng.permutation(5)[: rng.integers(2, 6)]]
            parts[-1] += ".slice<0>()"
            whole = parts[0] + "".join(f".concat({part})" for part in parts[1:])
            yield f"print(({whole}).val());"
            names = sorted({part.split(".")[0] for part in parts})
            yield f"{{ auto source = ({whole}).val().bit_not();"
            yield f"{whole} = source; {' '.join(f'print({name});' for name in names)} }}"


def test_the_same_values(tmp_path):
    body = "\n".join(statements(np.random.default_rng(1)))
    source = tmp_path / "values.cc"
    source.write_text(
        "#include <cxxrtl/cxxrtl.h>\n#include <cstdio>\nusing namespace cxxrtl;\n"
        "template<size_t N> void print(const value<N> &v) {\n"
        '    for (uint32_t chunk : v.data) std::printf("%08x ", chunk);\n    std::puts("");\n}\n'
        f"int main() {{\n{body}\n}}\n"
    )
    shown = []
    for front in ((), ("-include", library.FOLDER / "quick_values.h")):
        command = [library.COMPILER, "-std=c++17", f"-I{yosys.headers()}", *front]
        subprocess.run([*command, source, "-o", tmp_path / "values"], check=True)
        ran = subprocess.run([tmp_path / "values"], capture_output=True, text=True, check=True)
        shown.append(ran.stdout)
    assert shown[0].count("\n") > 150
    assert shown[0] == shown[1]
