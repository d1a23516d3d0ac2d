"""Makes one self-contained HTML page of one or more evaluation folders."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from arrayse.files import remove_unfinished, write_text
from arrayse.report.audio import LOSSLESS_BYTES
from arrayse.report.cells import NO_DIFFERENCE
from arrayse.report.evaluation import read_evaluation
from arrayse.report.overview import better_or_worse
from arrayse.report.players import lossless_bytes
from arrayse.report.section import Section, make_section
from arrayse.report.table_text import MIN_SCENES
from arrayse.report.text import (
    count,
    decibels,
    factor,
    metric_style,
    milliseconds,
    number,
    p_value,
    percent,
    unbroken,
)

FOLDER = Path(__file__).parent

SCRIPTS = ("page.js", "tables.js", "figures.js", "players.js")
"""Parts of the one function that every page runs; the first has what the others use."""


def build_report(evaluations: list[Path], out: Path) -> Path:
    """Writes a page with one section for each evaluation folder.

    Args:
        evaluations: folders with ``summary.json`` and, where there is more to show, ``rows.jsonl``,
            ``examples.json`` and ``config.yaml``.
        out: the HTML file to write.

    Returns:
        ``out``.

    Raises:
        ValueError: no folder, or one that is no evaluation.
    """
    if not evaluations:
        raise ValueError("evaluations: expected at least one folder, got none")
    found = [read_evaluation(folder) for folder in evaluations]
    lossless = lossless_bytes([example for each in found for example in each.examples]) <= LOSSLESS_BYTES
    sections = [make_section(each, f"e{place}", lossless) for place, each in enumerate(found, start=1)]
    titles = Counter(section.title for section in sections)
    for place, (section, each) in enumerate(zip(sections, found, strict=True)):
        if titles[section.title] > 1:  # of one dataset: the folders tell which is which
            sections[place] = replace(section, title=f"{section.title}: {each.folder.resolve().name}")
    remove_unfinished(out)
    write_text(out, render(sections, lossless))
    return out


def render(sections: list[Section], lossless: bool = True) -> str:
    """The page as text, which says whether its sounds are lossless."""
    values = {"sections": sections, "no_difference": NO_DIFFERENCE, "min_scenes": MIN_SCENES, "lossless": lossless}
    return render_page("template.html", values, ("style.css", "report.css"), (*SCRIPTS, "heat.js", "scatter.js"))


def render_page(
    template: str,
    values: Mapping[str, object],
    styles: tuple[str, ...] = ("style.css",),
    scripts: tuple[str, ...] = SCRIPTS,
) -> str:
    """A page made of a template of this folder that extends ``base.html``, as text.

    Args:
        template: its name.
        values: what it may use beside the filters below.
        styles: names of the style sheets, in their order.
        scripts: names of the scripts, in their order.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(_filters())
    parts = [(FOLDER / name).read_text(encoding="utf-8") for name in scripts]
    script = "\n".join(['"use strict";', "(() => {", *parts, "})();"])
    # The page allows this script alone: text that slipped in from a result could not become code.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    style = "".join((FOLDER / name).read_text(encoding="utf-8") for name in styles)
    page = {"style": Markup(style), "script": Markup(script), "script_hash": digest}
    return environment.get_template(template).render({**values, **page})


def _filters() -> dict[str, Callable[..., object]]:
    """What templates write numbers and names with."""
    from markupsafe import Markup, escape

    return {
        "better": better_or_worse,
        "count": count,
        "decibels": decibels,
        "factor": factor,
        "milliseconds": milliseconds,
        "number": number,
        "p_value": p_value,
        "percent": percent,
        "style": metric_style,
        "unbroken": unbroken,
        "wrappable": lambda name: escape(name).replace("_", Markup("_<wbr>")),
    }
