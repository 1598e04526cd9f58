"""The page in a real browser, as a person would use it."""

import re

import msgspec
import pytest

from harness.report.figures import MEANINGS
from harness.report.page import page
from tests.support.browser import chromium
from tests.support.report_runs import made


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(page(made()))
    return file.as_uri()


EARLY = {3: 8650, 5: 411}
"""Layers of another page, by number: they began so many cycles early, and use 366.6 %."""


@pytest.fixture(scope="module")
def overlapping(tmp_path_factory):
    figures = made()
    layers = [
        msgspec.structs.replace(
            layer, cycles=layer.cycles // 20, utilization=3.666, early=EARLY[layer.number]
        )
        if layer.number in EARLY
        else layer
        for layer in figures.layers
    ]
    file = tmp_path_factory.mktemp("page") / "overlapping.html"
    file.write_text(page(msgspec.structs.replace(figures, layers=layers)))
    return file.as_uri()


@pytest.fixture
def opened(browser, address):
    """Opens the page; at the end nothing may have gone wrong, or have been fetched."""
    contexts, problems, requests, addresses = [], [], [], set()

    def open_page(width=1440, at=address, **options):
        addresses.add(at)
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        tab = context.new_page()
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.on("console", lambda message: problems.append(message.text))
        tab.on("request", lambda request: requests.append(request.url))
        tab.goto(at)
        return tab

    yield open_page
    assert not problems
    assert set(requests) == addresses
    for context in contexts:
        context.close()


def column(tab, heading):
    """What the rows that are shown say under a heading, from top to bottom."""
    headings = [text.strip() for text in tab.locator("#layers thead th").all_text_contents()]
    place = headings.index(heading) + 1
    cells = tab.locator(f"#layers tbody tr:visible > :nth-child({place})")
    return [text.strip() for text in cells.all_inner_texts()]


def numbers(texts):
    return [float(text.replace(",", "").rstrip(" %") or 0) for text in texts]


def view(tab):
    """First cycle and number of cycles that the charts show."""
    boxes = tab.locator("#time .plot").evaluate_all(
        "plots => plots.map(plot => plot.getAttribute('viewBox').split(' ').map(Number))"
    )
    assert len({(first, length) for first, _, length, _ in boxes}) == 1
    return boxes[0][0], boxes[0][2]


def test_the_score_is_on_top_and_says_modelled(opened):
    tab, figures = opened(), made()
    score = tab.locator(".headline").inner_text()
    for text in (f"{figures.latency_ms:.3f}", f"{100 * figures.utilization:.1f}"):
        assert text in score
    assert tab.locator(".headline").bounding_box()["y"] < 300
    assert "modelled, not measured" in tab.locator("header").inner_text()
    assert tab.locator("h1").inner_text() == "tiny <net> on nano"
    assumptions = tab.locator(".assumptions").inner_text()
    for text in ("200 MHz", "32 MACs", "8 B a cycle", "latency 64 cycles", "batch 1", "interrupt"):
        assert text in assumptions


def test_columns_sort(opened):
    tab = opened()
    original = column(tab, "layer")
    tab.get_by_role("button", name="cycles", exact=True).click()
    values = numbers(column(tab, "cycles"))
    assert values == sorted(values, reverse=True)
    assert len(values) == len(original)
    tab.get_by_role("button", name="cycles", exact=True).click()
    assert numbers(column(tab, "cycles")) == values[::-1]
    for heading in ("used", "MMAC", "DRAM kB", "lost", "early", "ms"):
        tab.get_by_role("button", name=heading, exact=True).click()
        values = numbers(column(tab, heading))
        assert values == sorted(values, reverse=True), heading
    tab.get_by_role("button", name="layer", exact=True).click()
    assert column(tab, "layer") == sorted(original)
    assert tab.locator("#layers [aria-sort]").count() == 1
    tab.get_by_role("button", name="#", exact=True).click()
    assert column(tab, "layer") == original


def test_rows_filter(opened):
    tab, names = opened(), [layer.name for layer in made().layers]
    tab.get_by_label("Name").fill("CONV2 block1")
    expected = [name for name in names if "conv2" in name and "block1" in name]
    assert column(tab, "layer") == expected
    assert f"{len(expected)} of {len(names)} layers" in tab.locator("#shown").inner_text()
    tab.get_by_label("Name").fill("")
    assert column(tab, "layer") == names
    bound = made().layers[0].bound
    tab.get_by_label("Bound by").select_option(bound)
    assert set(column(tab, "bound")) == {bound.upper()}
    tab.get_by_label("Name").fill("there is no such layer")
    assert column(tab, "layer") == []


def test_a_layer_of_the_table_is_shown_over_time(opened):
    tab, figures = opened(), made()
    assert view(tab) == (0, figures.cycles)
    layer = figures.layers[3]
    tab.locator('#layers tr[data-layer="3"] th button').click()
    first, length = view(tab)
    assert first <= layer.end - layer.cycles < layer.end <= first + length < figures.cycles
    tab.get_by_role("button", name="zoom out").click()
    assert view(tab)[1] == pytest.approx(2 * length)
    tab.get_by_role("button", name="whole run").click()
    assert view(tab) == (0, figures.cycles)


def test_dragging_over_the_charts_chooses_a_part(opened):
    tab, cycles = opened(), made().cycles
    tab.locator(".plot.memory").scroll_into_view_if_needed()
    box = tab.locator(".plot.memory").bounding_box()
    tab.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 10)
    tab.mouse.down()
    tab.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 20)
    tab.mouse.up()
    assert view(tab) == pytest.approx((cycles / 4, cycles / 4), rel=0.02)
    ticks = tab.locator("#axis span").all_text_contents()
    assert len(ticks) > 2 and all(tick.endswith(" ms") for tick in ticks)


def test_pointing_at_an_instruction_says_what_it_is(opened):
    tab = opened()
    span = tab.locator('rect.span[data-layer="0"]').last
    span.hover(force=True)
    assert re.search(
        r"cycles, .* ms, from .* \(instruction \d+\)", tab.locator("#tip").inner_text()
    )
    lit = tab.locator(".lit").evaluate_all("all => all.map(each => each.dataset.layer)")
    assert len(lit) > 3 and set(lit) == {"0"}


def test_the_losses_of_the_layers_add_up(opened):
    tab, figures = opened(), made()
    lost = numbers(column(tab, "lost"))
    assert lost == [layer.lost for layer in figures.layers]
    causes = [use for use in figures.uses if use != "macs"]
    assert "idle" in causes
    for use in causes:
        texts = [text.partition("(")[0].strip() for text in column(tab, use)]
        tail = figures.tail_cycles if use == "idle" else 0
        assert sum(numbers(texts)) + tail == figures.uses[use], use
    whole = tab.locator("#layers tfoot tr").last.locator("td, th").all_inner_texts()
    assert f"{figures.cycles - figures.uses['macs']:,}" in whole


@pytest.mark.parametrize("width", [390, 1440])
def test_a_share_of_more_than_all_is_explained_where_it_stands(opened, overlapping, width):
    tab = opened(width, overlapping)
    for number, early in EARLY.items():
        row = tab.locator(f'#layers tr[data-layer="{number}"]').inner_text()
        assert "366.6 %" in row and f"{early:,}" in row
        assert (f"{early:,} early" in row) is (width == 390)
    assert not any("366.6" in text for text in column(opened(width), "used"))
    for number in EARLY:
        tip = tab.locator(f'.tall .slot[data-layer="{number}"]').get_attribute("data-tip")
        assert "more than all, since it began" in tip
    assert "Above the roof are layers that began earlier" in tab.locator("body").inner_text()
    plot = tab.locator(".roofline .area").bounding_box()
    for point in tab.locator(".roofline .point").all():
        box = point.bounding_box()
        assert plot["y"] <= box["y"] and box["y"] + box["height"] <= plot["y"] + plot["height"]
    note = tab.locator(".columns").inner_text()
    assert "more than 100 %" in note and "began early" in note


@pytest.mark.parametrize("width", [390, 1440])
def test_every_explanation_is_on_the_screen(opened, width):
    tab = opened(width)
    uses, columns = tab.locator(".uses"), tab.locator(".columns")
    for use in made().uses:
        assert MEANINGS[use] in uses.inner_text()
    explained = [text.strip() for text in columns.locator("dt").all_inner_texts()]
    for heading in ("k", "cycles", "used", "early", "bound", "lost"):
        assert heading in explained
    for part in (uses, columns):
        box = part.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width


def test_what_most_people_look_for_fits_a_phone(opened):
    """Layer, cycles, share, engine and loss need no scrolling to the side."""
    tab = opened(390)
    box = tab.locator(".scroll").first
    assert box.evaluate("box => box.scrollWidth <= box.clientWidth")
    for heading in ("layer", "cycles", "used", "bound", "lost"):
        assert tab.get_by_role("button", name=heading, exact=True).is_visible(), heading


def test_times_are_in_milliseconds(opened):
    tab = opened()
    assert "µs" not in tab.locator("body").inner_text()
    assert tab.locator("#window").inner_text().endswith(" ms")
    figures = made()
    assert column(tab, "ms") == [f"{layer.cycles / 200e3:.3f}" for layer in figures.layers]


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_is_wider_than_the_screen(opened, width):
    tab = opened(width)
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    for selector in (".headline", "#layers", ".stack", "#time .memory", ".roofline", "table.area"):
        box = tab.locator(selector).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width, selector


def test_a_phone_has_the_other_columns_on_demand(opened):
    tab = opened(390)
    heading = tab.get_by_role("button", name="DRAM kB")
    assert not heading.is_visible()
    tab.get_by_label("all columns").check()
    assert heading.is_visible()
    assert tab.evaluate("document.documentElement.scrollWidth") == 390


def test_light_and_dark(opened):
    colours = {
        opened(color_scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    }
    assert len(colours) == 2


def test_it_prints(opened):
    tab = opened()
    tab.emulate_media(media="print")
    assert not tab.locator(".zoom").is_visible()
    assert tab.pdf().startswith(b"%PDF")


def test_it_tells_its_story_without_scripts(opened):
    tab = opened(java_script_enabled=False)
    assert column(tab, "layer") == [layer.name for layer in made().layers]
    assert tab.locator("rect.span").count() == sum(
        span.engine not in ("CONTROL",) for span in made().spans
    )
