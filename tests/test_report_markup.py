"""Templates, styles and scripts as a strict reader sees them: nothing dead, everything named, no host but the page."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from arrayse.geometry import circular
from arrayse.report.build import FOLDER, build_report, render_page
from arrayse.report.figures import array_figure
from arrayse.report.patches_figure import PatchView, patches_figure
from arrayse.report.players import player_of
from arrayse.report.preview import write_preview
from tests.report_example import write_whole
from tests.test_preview_figures import PREVIEW, scene
from tests.test_report import Page

STYLES = {path.name: path.read_text() for path in FOLDER.glob("*.css")}
MARKUP = "".join(path.read_text() for path in [*FOLDER.glob("*.html"), *FOLDER.glob("*.js")])
MADE = {"plus", "minus", "best"}
"""Classes that Python gives to cells."""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("pages")
    report = build_report([write_whole(folder / "eval")], folder / "report.html")
    preview = write_preview(PREVIEW, [scene()], folder / "preview.html")
    return {"report": report.read_text(), "preview": preview.read_text(), "patches": patches()}


def patches() -> str:
    noise = np.random.default_rng(0).normal(size=(65, 20))
    view = PatchView("lin", "valid-000000", 5.0, noise, 125.0, 0.004, 0.0, noise > 0, None)
    player = player_of("s1-p", "valid-000000", 5.0, {"noisy": noise[0]}, 16000, {"noisy": "microphone 0"})
    scenes = [{"id": "s1", "title": "valid-000000", "figures": [patches_figure(view, "a")], "player": player}]
    return render_page("patches.html", {"title": "run", "label": "speech", "terms": [("lin", "x")], "scenes": scenes})


def test_no_rule_names_a_class_that_nothing_has() -> None:
    for name, style in STYLES.items():
        selectors = re.sub(r"\{[^{}]*\}", "{}", re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL))
        for wanted in set(re.findall(r"\.([a-zA-Z][\w-]*)", selectors)) - MADE:
            assert re.search(rf"(?<![\w-]){wanted}(?![\w-])", MARKUP), f"{name}: .{wanted}"


def test_no_class_and_no_mark_of_a_template_is_without_use() -> None:
    used = "".join(STYLES.values()) + "".join(path.read_text() for path in FOLDER.glob("*.js"))
    for found in re.findall(r'class="([^"]*)"', MARKUP):
        for name in re.findall(r"[a-zA-Z][\w-]*", re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "", found)):
            assert f".{name}" in used, name
    for name in set(re.findall(r"\bdata-([a-z-]+)(?==|[ >])", MARKUP)):
        camel = re.sub(r"-(\w)", lambda letter: letter[1].upper(), name)
        assert f"data-{name}" in used or f"dataset.{camel}" in used, name


def test_every_page_names_what_can_be_used_and_reaches_what_scrolls(pages: dict[str, str]) -> None:
    for name, text in pages.items():
        page = Page(text)
        boxes = [attributes for _, attributes in page.tags if attributes.get("class") == "scroll"]
        assert bool(boxes) is (name != "patches")
        for box in boxes:
            assert (box["tabindex"], box["role"]) == ("0", "region")
            assert box["aria-label"]
        assert {image["alt"] for image in page.find("img")} - {""}
        assert all(output["aria-live"] == "off" for output in page.find("output"))  # it changes all the time
        assert all("aria-label" in box for box in page.find("input") if box["type"] == "range")
        assert all(button["type"] == "button" for button in page.find("button"))
        assert [each["lang"] for each in page.find("html")] == ["en"]
        assert all("aria-label" in drawing or drawing.get("aria-hidden") == "true" for drawing in page.find("svg"))
        levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
        assert levels[0] == levels.count(1) == 1
        assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
        assert not re.search(r"(?:src|href)=\"(?!#|data:)", text)


def test_links_in_a_drawing_are_not_hidden_in_an_image(pages: dict[str, str]) -> None:
    with_links = [text for text in re.findall(r"<svg .*?</svg>", pages["preview"], re.DOTALL) if "<a " in text]
    assert len(with_links) == 1
    assert with_links[0].startswith('<svg role="group" aria-label="Of each scene')
    assert array_figure(circular(), "a").startswith('<svg role="img"')


def test_drawings_take_the_letters_of_the_page(pages: dict[str, str]) -> None:
    for text in pages.values():
        assert all("font-family" not in drawing for drawing in re.findall(r"<svg .*?</svg>", text, re.DOTALL))


def test_folders_of_styles_and_scripts_hold_nothing_that_no_page_has() -> None:
    told = (FOLDER / "build.py").read_text() + (FOLDER / "preview.py").read_text()
    assert all(f'"{path.name}"' in told for path in [*FOLDER.glob("*.css"), *FOLDER.glob("*.js")])
    python = "".join(path.read_text() for path in [*FOLDER.glob("*.py"), FOLDER.parent / "verbs" / "patches.py"])
    for path in FOLDER.glob("*.html"):
        assert f'"{path.name}"' in python + MARKUP, path.name
