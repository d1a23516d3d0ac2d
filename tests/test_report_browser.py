"""The report in a browser: no error, sorting, players in sync, light and dark, a phone, names that look like code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from arrayse.doctor import BROWSERS, find_chromium
from arrayse.report.build import build_report
from tests.report_example import EVIL, GAIN, write_recordings, write_whole

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra dev)")

CHROMIUM = find_chromium()

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=f"needs {' or '.join(BROWSERS)}, or ARRAYSE_CHROMIUM")

WATCH = """
window.starts = []; window.gains = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (...when) {
  window.starts.push(when);
  return start.apply(this, when);
};
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (...to) {
  if (this instanceof GainNode) window.gains.push(this);
  return connect.apply(this, to);
};
"""
"""Notes when which sounds start, and their gains."""

DESKTOP = {"viewport": {"width": 1280, "height": 900}}
PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    return build_report([write_whole(folder / "<script>alert(1)<∕script>", seconds=3.0)], folder / "report.html")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Opened:
    """A page and all that it complained about."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda line: self.errors.append(line.text) if line.type != "log" else None)
        self.page.on("dialog", lambda dialog: (self.errors.append("dialog"), dialog.dismiss()))
        self.page.on("request", lambda request: self._request(request.url))
        self.page.add_init_script(WATCH)
        self.page.goto(path.as_uri())

    def _request(self, url: str) -> None:
        if not url.startswith(("file:", "data:", "blob:")):
            self.errors.append(url)


@pytest.fixture
def desktop(browser: Any, report: Path) -> Iterator[Any]:
    opened = Opened(browser, report, **DESKTOP)
    yield opened.page
    opened.context.close()
    assert opened.errors == []


def wait(page: Any, function: str, argument: Any = None) -> None:
    """Until a function of the page is true: what playwright has for it would need a page that may evaluate text."""
    for _ in range(600):
        if page.evaluate(function, argument):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"expected {function} to become true")


def names_of(page: Any, box: str = "#e1-overview + p + [data-table]") -> list[str]:
    return page.eval_on_selector_all(f"{box} tbody th", "heads => heads.map((head) => head.dataset.value)")


def test_the_page_loads_nothing_and_shows_names_as_text(desktop: Any) -> None:
    desktop.wait_for_selector(".plot svg circle")
    assert EVIL in desktop.inner_text("main")
    assert desktop.locator("main script").count() == 0
    assert desktop.evaluate("document.documentElement.className") == "js"


def test_click_and_keyboard_sort_a_table(desktop: Any) -> None:
    overview = desktop.locator("#e1-overview + p + [data-table]")
    heading = overview.get_by_role("button", name="WB-PESQ, Mean")
    assert names_of(desktop) == list(GAIN)
    heading.click()
    assert names_of(desktop) == ["teacher", EVIL, "student", "noisy"]
    assert overview.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    heading.focus()
    desktop.keyboard.press("Enter")
    assert names_of(desktop) == ["noisy", "student", EVIL, "teacher"]
    overview.get_by_role("button", name="Params").focus()
    desktop.keyboard.press("Space")
    assert names_of(desktop)[0] == "teacher"
    assert names_of(desktop)[-1] == "noisy"  # has no value
    overview.get_by_role("button", name="WB-PESQ, p").click()
    assert overview.locator("th[aria-sort]").count() == 1


def test_every_column_sorts_by_its_own_numbers(desktop: Any) -> None:
    for table in desktop.locator("table.sortable").all():
        for button in table.locator(".sort").all():
            if not button.is_visible():
                continue
            button.click()
            values = button.evaluate(
                """(button) => {
                    const cells = [...button.closest('table').tBodies[0].rows].map((row) => [...row.cells]);
                    const x = button.getBoundingClientRect().x + 5;
                    const box = (cell) => cell.getBoundingClientRect();
                    const isBelow = (cell) => box(cell).x <= x && x < box(cell).right;
                    return cells.map((row) => row.find(isBelow).dataset.value);
                }"""
            )
            known = [value for value in values if value != ""]
            if button.inner_text() in ("System", "Pair"):
                continue
            assert known == sorted(known, key=float, reverse=True), button.inner_text()
            assert values[len(known) :] == [""] * (len(values) - len(known))


def test_metrics_medians_and_the_legend_choose_what_is_shown(desktop: Any) -> None:
    overview = desktop.locator("#e1-overview + p + [data-table]")
    overview.get_by_role("button", name="ESTOI", exact=True).click()
    row = overview.locator("tbody tr", has_text="teacher")
    assert "0.600" in row.inner_text()
    overview.get_by_role("button", name="Medians").click()
    assert "0.590" in row.inner_text()
    assert "0.600" not in row.inner_text()
    legend = desktop.locator(".legend button", has_text="teacher")
    legend.click()
    assert legend.get_attribute("aria-pressed") == "false"
    marks = desktop.locator('.curves [data-system="1"]')
    assert {mark.get_attribute("class") for mark in marks.all()} <= {"off", "off back"}
    desktop.get_by_role("button", name="Show all").click()
    assert legend.get_attribute("aria-pressed") == "true"


def test_heat_map_and_scatter_follow_their_switches(desktop: Any) -> None:
    visible = desktop.locator("[data-heat] .scroll:visible")
    assert visible.count() == 1
    assert "babble" in visible.inner_text()
    desktop.locator("[data-heat]").get_by_role("button", name="RT60").click()
    desktop.locator("[data-heat]").get_by_role("button", name="Gain over noisy").click()
    assert visible.count() == 1
    assert "0.3–0.4 s" in visible.inner_text()
    assert "+0.80" in visible.inner_text()
    assert desktop.locator(".plot circle").count() == 20 * 3
    desktop.locator('[data-choose="snr"]').select_option("-5.0")
    assert desktop.locator(".plot circle").count() == 20
    desktop.locator('[data-choose="x"]').select_option("noisy")
    assert f"{EVIL} is higher than noisy in" in desktop.inner_text(".found")
    assert "of 20 utterances" in desktop.inner_text(".found")


def test_switching_players_keeps_the_position_in_sync(desktop: Any) -> None:
    card = desktop.locator("[data-player]").first
    position = "() => Number(document.querySelector('[data-player] .seek').value)"
    n_versions = card.locator("audio").count()
    assert n_versions == 1 + len(GAIN)
    card.get_by_role("button", name="Play").click()
    wait(desktop, f"() => ({position})() > 0.1")
    assert desktop.evaluate("starts.length") == n_versions
    assert desktop.evaluate("new Set(starts.map((when) => when.join())).size") == 1  # all at one time, at one place
    before = desktop.evaluate(position)
    card.locator("label").nth(2).click()
    assert desktop.evaluate(position) >= before
    heard = "(place) => gains.every((gain, index) => Math.abs(gain.gain.value - (index === place)) < 0.01)"
    wait(desktop, heard, 2)
    desktop.keyboard.press("4")
    wait(desktop, heard, 3)
    assert card.locator("input[type=radio]").nth(3).is_checked()
    assert desktop.evaluate("starts.length") == n_versions  # nothing was started anew
    card.get_by_role("button", name="Pause").click()
    stopped = desktop.evaluate(position)
    assert stopped >= before
    desktop.keyboard.press("2")
    assert desktop.evaluate(position) == stopped
    card.locator(".seek").fill("0.5")
    card.get_by_role("button", name="Play").click()
    wait(desktop, f"() => ({position})() > 0.5")
    offsets = desktop.evaluate(f"starts.slice({n_versions}).map((when) => when[1])")
    assert offsets == pytest.approx([1.5] * n_versions)
    second = desktop.locator("[data-player]").nth(1)
    second.get_by_role("button", name="Play").click()
    card.get_by_role("button", name="Play").wait_for()  # the first one has stopped


def test_masks_replace_spectrograms_but_not_that_of_the_noisy_input(desktop: Any) -> None:
    visible = desktop.locator("[data-player] >> nth=0 >> .picture img:visible")
    assert {image.get_attribute("class") for image in visible.all()} == {"spectrum"}
    desktop.get_by_role("button", name="Masks").click()
    assert [image.get_attribute("class") for image in visible.all()] == ["spectrum", *["mask"] * len(GAIN)]
    assert desktop.get_by_text("clipped to 0–1").is_visible()


def test_light_and_dark_follow_the_system_until_the_reader_chooses(browser: Any, report: Path) -> None:
    opened = Opened(browser, report, **DESKTOP, color_scheme="light")
    background = "getComputedStyle(document.body).backgroundColor"
    light = opened.page.evaluate(background)
    opened.page.emulate_media(color_scheme="dark")
    dark = opened.page.evaluate(background)
    assert light != dark
    opened.page.get_by_role("button", name="Light").click()
    assert opened.page.evaluate(background) == light
    opened.page.emulate_media(color_scheme="light")
    opened.page.get_by_role("button", name="Dark").click()
    assert opened.page.evaluate(background) == dark
    opened.context.close()
    assert opened.errors == []


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_scrolls_in_one_direction_only(browser: Any, report: Path, width: int) -> None:
    options = PHONE | {"viewport": {"width": width, "height": 740}}
    opened = Opened(browser, report, **options)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    opened.page.locator("[data-heat]").get_by_role("button", name="RT60").tap()
    opened.page.get_by_role("button", name="Masks").tap()
    for summary in opened.page.locator("summary").all():
        summary.tap()
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    opened.context.close()
    assert opened.errors == []


def test_recordings_can_be_heard_without_any_score(browser: Any, tmp_path: Path) -> None:
    path = build_report([write_recordings(tmp_path / "eval")], tmp_path / "report.html")
    opened = Opened(browser, path, **DESKTOP)
    opened.page.get_by_role("button", name="Play").click()
    wait(opened.page, "() => starts.length === 2")
    opened.context.close()
    assert opened.errors == []
