"""Makes one self-contained HTML page of one or more evaluation folders."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path

from arrayse.files import write_text
from arrayse.report.evaluation import read_evaluation
from arrayse.report.results import EMPTY
from arrayse.report.section import Section, make_section
from arrayse.report.text import count, decibels, metric_style, number, percent, unbroken

FOLDER = Path(__file__).parent


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
    places = enumerate(evaluations, start=1)
    write_text(out, render([make_section(read_evaluation(folder), f"e{place}") for place, folder in places]))
    return out


def render(sections: list[Section]) -> str:
    """The page as text."""
    return render_page("template.html", {"sections": sections, "empty": EMPTY})


def render_page(template: str, values: Mapping[str, object], styles: tuple[str, ...] = ("style.css",)) -> str:
    """A page made of a template of this folder that extends ``base.html``, as text.

    Args:
        template: its name.
        values: what it may use beside the filters below.
        styles: names of the style sheets, in their order.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup, escape

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=count,
        decibels=decibels,
        number=number,
        percent=percent,
        style=metric_style,
        unbroken=unbroken,
        wrappable=lambda name: escape(name).replace("_", Markup("_<wbr>")),
    )
    script = (FOLDER / "script.js").read_text(encoding="utf-8")
    # The page allows this script alone: text that slipped in from a result could not become code.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    style = "".join((FOLDER / name).read_text(encoding="utf-8") for name in styles)
    page = {"style": Markup(style), "script": Markup(script), "script_hash": digest}
    return environment.get_template(template).render({**values, **page})
