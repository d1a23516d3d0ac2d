"""Tables of the report at every width of a screen: names stay whole, and what does not fit can be scrolled to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from arrayse.report.build import build_report
from tests.report_example import whole_summary
from tests.test_report_browser import CHROMIUM, Opened
from tests.test_report_browser import browser as browser  # a fixture

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium")

LONG = {
    '"student': '"superdirective_student_of_many_words',
    '"name": "teacher"': '"name": "superdirective"',
    '"system": "teacher"': '"system": "superdirective"',
    '"teacher": "teacher"': '"teacher": "superdirective"',
}

LINES_OF_WORDS = """() => [...document.querySelectorAll('.label')].flatMap((label) => {
    const range = document.createRange();
    const walker = document.createTreeWalker(label, NodeFilter.SHOW_TEXT);
    const found = [];
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        for (const word of node.data.matchAll(/[a-z]+/gi)) {
            range.setStart(node, word.index);
            range.setEnd(node, word.index + word[0].length);
            found.push([word[0], new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size]);
        }
    }
    return found;
})"""


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of systems with long names, without sounds."""
    folder, text = tmp_path_factory.mktemp("named"), json.dumps(whole_summary())
    for short, long in LONG.items():
        text = text.replace(short, long)
    (folder / "summary.json").write_text(text)
    return build_report([folder], folder / "report.html")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_names_stay_whole_and_beside_tables_that_scroll(browser: Any, named: Path, width: int, scheme: str) -> None:
    opened = Opened(browser, named, viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    words = page.evaluate(LINES_OF_WORDS)
    assert {"superdirective", "noisy"} <= {word for word, _ in words}
    assert {word for word, lines in words if lines > 1} == set()
    for box in page.locator(".scroll:has(table.sortable)").all():
        fits = box.evaluate("(box) => box.scrollWidth <= box.clientWidth")
        everything = box.locator("xpath=..").get_by_role("button", name="All", exact=True)
        if everything.count() and width < 1280:
            assert everything.get_attribute("aria-pressed") == "false"
        assert fits or width < 1280
        box.evaluate("(box) => { box.scrollLeft = box.scrollWidth; }")
        place = "(cell) => cell.getBoundingClientRect().x - cell.closest('.scroll').getBoundingClientRect().x"
        assert box.locator("tbody th").first.evaluate(place) == pytest.approx(1, abs=1)  # beside the border
        ends = "(cell) => [cell.getBoundingClientRect().right, cell.closest('.scroll').getBoundingClientRect().right]"
        end, edge = box.locator("tbody tr").first.locator("td:visible").last.evaluate(ends)
        assert end <= edge  # nothing is out of reach
    opened.context.close()
    assert opened.errors == []
