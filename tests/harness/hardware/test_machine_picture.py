import dataclasses
from xml.etree import ElementTree

import pytest

from harness.hardware.machine_picture import HEIGHT, WIDTH, picture
from hw.config import PRESETS
from tests.support.browser import chromium

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", PRESETS)
def test_it_says_what_the_configuration_has(name):
    config = PRESETS[name]
    root = ElementTree.fromstring(picture(config))
    assert len(root.findall(f"{SVG}rect[@class='array']")) == config.modules
    text = " ".join("".join(part.itertext()) for part in root.findall(f"{SVG}text"))
    for part in (
        f"{config.modules} convolution modules of {config.rows} x {config.columns}",
        f"= {config.macs:,} multipliers",
        f"{config.dram_bytes_per_cycle} bytes a cycle",
        f"{config.lanes} channels a cycle",
        f"two tiles of {config.accumulation_depth} pixels",
    ):
        assert part in text


def test_ports_are_counted():
    one = dataclasses.replace(PRESETS["f200"], dram_ports=1, dram_bytes_per_cycle=128)
    assert ">AXI4, 128 bytes a cycle<" in picture(one)
    assert ">2 AXI4 ports, 256 bytes a cycle<" in picture(PRESETS["f200"])


def test_sizes_are_bytes():
    text = picture(PRESETS["f200"])
    assert "8 banks, 2 MiB, int8" in text and "FIFO of 128 KiB" in text
    assert "2 banks, 16 KiB, int8" in picture(PRESETS["nano"])


def test_no_text_leaves_its_box_or_the_picture():
    """As Chromium lays it out."""
    with chromium() as browser:
        tab = browser.new_page()
        for config in PRESETS.values():
            tab.set_content(picture(config))
            boxes = {
                kind: tab.evaluate(
                    f"[...document.querySelectorAll('{kind}')].map(e => {{ const b = e.getBBox();"
                    " return [b.x, b.y, b.x + b.width, b.y + b.height, e.textContent]; })"
                )
                for kind in ("rect.box, rect.memory", "text:not([transform])")
            }
            outer, texts = boxes.values()
            for left, top, right, bottom, text in texts:
                assert left >= 0 and right <= WIDTH and top >= 0 and bottom <= HEIGHT, text
                for a, b, c, d, _ in outer:
                    apart = right <= a or c <= left or bottom <= b or d <= top
                    inside = a <= left and right <= c and b <= top and bottom <= d
                    assert apart or inside, text
