from xml.etree import ElementTree

import pytest

from harness.explore.picture import HEIGHT, WIDTH, picture
from harness.explore.results import Row, ranked
from harness.hardware.timing.clock import Clock

SVG = "{http://www.w3.org/2000/svg}"


def rows(*places):
    return ranked(
        [
            Row(name=f"<{number}>", parameters=None, clock=Clock(300.0), latency_ms=ms, luts=luts)
            for number, (ms, luts) in enumerate(places)
        ]
        + [Row(name="refused", parameters=None, clock=Clock(300.0), refused="no")]
    )


@pytest.mark.parametrize(
    ("places", "front"),
    [([(2.0, 2e6), (4.0, 1e6), (4.0, 2e6), (20.0, 3e5)], 3), ([(1.0, 1e5)], 1)],
)
def test_a_dot_for_every_machine_that_runs(places, front):
    root = ElementTree.fromstring(picture(rows(*places), "a & b"))
    dots = root.findall(f"{SVG}circle")
    assert len(dots) == len(places)
    assert sum(dot.get("class") == "dot best" for dot in dots) == front
    for dot in dots:
        assert 0 < float(dot.get("cx")) < WIDTH and 0 < float(dot.get("cy")) < HEIGHT
    texts = [text.text for text in root.findall(f"{SVG}text")]
    assert "a & b" in texts and "<0>" in texts


def test_quicker_is_lower_and_larger_is_further_right():
    root = ElementTree.fromstring(picture(rows((1.0, 2e6), (9.0, 1e6)), "title"))
    place = {
        dot.find(f"{SVG}title").text[:3]: (float(dot.get("cx")), float(dot.get("cy")))
        for dot in root.findall(f"{SVG}circle")
    }
    assert place["<0>"][0] > place["<1>"][0] and place["<0>"][1] > place["<1>"][1]
