from xml.etree import ElementTree

import pytest

from harness.explore.picture import BOTTOM, LEFT, TOP, WIDTH, picture
from harness.explore.results import Row, ranked
from harness.hardware.timing.clock import Clock
from tests.support.browser import chromium


@pytest.fixture(scope="module")
def browser_page():
    with chromium() as browser:
        yield browser.new_page()


SVG = "{http://www.w3.org/2000/svg}"


def rows(*places, name="<{}>", clocks=(300.0,)):
    return ranked(
        [
            Row(
                name=name.format(number),
                parameters=None,
                clock=Clock(clock),
                latency_ms=ms,
                luts=luts,
            )
            for number, (ms, luts) in enumerate(places)
            for clock in clocks
        ]
        + [Row(name="refused", parameters=None, clock=Clock(300.0), refused="no")]
    )


def texts(root, kind):
    return [text.text for text in root.findall(f"{SVG}text[@class='{kind}']")]


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
        assert LEFT < float(dot.get("cx")) < WIDTH and TOP < float(dot.get("cy")) < BOTTOM
    assert texts(root, "title") == ["a & b"]
    assert len(texts(root, "name")) == len(texts(root, "label")) == front


def test_quicker_is_lower_and_larger_is_further_right():
    root = ElementTree.fromstring(picture(rows((1.0, 2e6), (9.0, 1e6)), "title"))
    place = {
        dot.find(f"{SVG}title").text[:3]: (float(dot.get("cx")), float(dot.get("cy")))
        for dot in root.findall(f"{SVG}circle")
    }
    assert place["<0>"][0] > place["<1>"][0] and place["<0>"][1] > place["<1>"][1]


def test_every_machine_of_the_front_is_named_and_numbered():
    count = 30
    root = ElementTree.fromstring(
        picture(rows(*((1 + n / 40, 3e6 - 1e4 * n) for n in range(count))), "title")
    )
    assert texts(root, "name") == [f"<{n}>" for n in range(count)]
    numbers = [str(n + 1) for n in range(count)]
    assert texts(root, "label") == numbers
    keys = texts(root, "key")
    assert keys[::3] == numbers
    assert keys[1:3] == ["1.000 ms", "3,000"]


def test_the_clock_is_named_where_there_are_several():
    root = ElementTree.fromstring(picture(rows((1.0, 1e6)), "title"))
    assert texts(root, "name") == ["<0>"]
    root = ElementTree.fromstring(picture(rows((1.0, 1e6), clocks=(300.0, 250.0)), "title"))
    assert texts(root, "name") == ["<0> at 300 MHz"]


@pytest.mark.parametrize(
    "places",
    [
        [(2.0, 2e6), (4.0, 1e6), (20.0, 3e5)],
        [(6.90, 1.000e6), (6.95, 1.001e6), (7.0, 0.999e6)],
        [(0.0004, 900.0)],
        [(9e5, 8e9), (1.0, 9e9), (9e6, 4.0)],
    ],
)
def test_both_axes_have_ticks_inside_the_picture(places):
    root = ElementTree.fromstring(picture(rows(*places), "title"))
    ticks = root.findall(f"{SVG}text[@class='tick']")
    for unit, least in ((" k", 2), (" ms", 2)):
        found = [tick.text for tick in ticks if tick.text.endswith(unit)]
        assert len(found) >= least and len(set(found)) == len(found)
    for tick in ticks:
        assert 0 < float(tick.get("x")) < WIDTH and TOP - 6 < float(tick.get("y")) < BOTTOM + 30


def test_all_text_is_inside_whatever_the_names(browser_page):
    """As Chromium lays it out: no text leaves the picture, none of the key lies on another."""
    name = "long-name-" * 12 + "{}"
    svg = picture(rows((1.0, 2e6), (2.0, 1e6), name=name), "model " * 60 + "漢字" * 20)
    browser_page.set_content(svg)
    boxes = browser_page.evaluate(
        "[...document.querySelectorAll('text')].map(t => { const b = t.getBBox();"
        " return [b.x, b.y, b.x + b.width, b.y + b.height, t.textContent]; })"
    )
    height = browser_page.evaluate("document.querySelector('svg').viewBox.baseVal.height")
    for left, top, right, bottom, text in boxes:
        assert left >= 0 and top >= 0 and right <= WIDTH and bottom <= height, text
    named = [box for box in boxes if box[4].startswith("long-name")]
    for left, top, right, bottom, _ in named:
        others = [box for box in boxes if box[4] not in {text[4] for text in named}]
        assert not any(
            left < b[2] and b[0] < right and top < b[3] and b[1] < bottom for b in others
        )
