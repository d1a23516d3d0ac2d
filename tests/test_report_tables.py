"""Tables, headline and the text of numbers: every value comes back, every claim follows from the table."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from arrayse.report import markdown
from arrayse.report.cells import Cell
from arrayse.report.headline import headline
from arrayse.report.latex import latex_table
from arrayse.report.results import parse_results
from arrayse.report.table import csv_table, markdown_table, print_table
from arrayse.report.table_text import best_cells
from arrayse.report.text import (
    count,
    decibels,
    listing,
    number,
    percent,
    percent_interval,
    spread,
    unbroken,
    with_interval,
    with_unit,
)
from tests.report_example import EVIL, SIZES, cell_of, make_summary, whole_summary

BROKEN = ({"systems": 3}, {"snr_db": []}, {"metrics": []}, {"table": [{"system": "a"}]}, {"metrics": None})


@pytest.mark.parametrize("change", BROKEN)
def test_a_summary_of_another_form_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="summary: expected"):
        parse_results(make_summary() | change)


def test_two_systems_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="different names"):
        parse_results(make_summary(names=("noisy", "student", "student")))


def test_the_headline_names_the_best_student_and_the_gain_it_keeps() -> None:
    first = headline(parse_results(make_summary()))
    assert first is not None
    assert first.best.name == EVIL
    assert first.teacher is not None
    assert first.teacher.name == "teacher"
    assert [gain.kept for gain in first.gains] == pytest.approx([0.75] * 3)
    kept = "75 % of the teacher’s WB-PESQ gain, 75 % of its ESTOI gain and 75 % of its SI-SDR gain"
    sizes = "56.5 k parameters (25 % of the teacher’s) and 900 M MACs/s (25 % of the teacher’s)"
    assert kept in first.sentence
    assert sizes in first.sentence
    (evidence,) = first.evidence
    assert evidence == "Paired against student, 6 of 9 differences have a 95 % interval above zero, 0 below."


def test_the_headline_without_a_teacher_without_gain_and_without_models() -> None:
    alone = headline(parse_results(make_summary(names=("noisy", "student"))))
    assert alone is not None
    assert "+0.40 WB-PESQ" in alone.sentence
    assert "+4.0 dB SI-SDR" in alone.sentence
    assert all(gain.kept is None for gain in alone.gains)
    worse = make_summary()
    for row in worse["table"]:
        if row["system"] == "teacher":
            row["mean"] = -10.0
    harmful = headline(parse_results(worse))
    assert harmful is not None
    assert all(gain.kept is None for gain in harmful.gains)
    assert headline(parse_results(make_summary(names=("noisy",)))) is None


def test_the_best_cells_are_among_students_and_ties_are_shared() -> None:
    summary = make_summary()
    tied, values = cell_of(summary, "student", 0, "estoi"), cell_of(summary, EVIL, 0, "estoi")
    tied["mean"] = values["mean"]
    best = best_cells(parse_results(summary))
    assert len(best) == 9 + 1
    assert {name for name, snr, metric in best if (snr, metric) == (0, "estoi")} == {"student", EVIL}
    assert best_cells(parse_results(make_summary(names=("noisy", "student")))) == frozenset()


def test_one_utterance_has_no_interval() -> None:
    summary = make_summary()
    cell_of(summary, "noisy", 0, "estoi")["n"] = 1
    assert parse_results(summary).cell("noisy", 0, "estoi").spread(3) == ""


def test_csv_gives_every_number_back() -> None:
    summary = make_summary()
    rows = list(csv.DictReader(io.StringIO(csv_table(summary))))
    assert len(rows) == len(summary["table"])
    for row in rows:
        cell = cell_of(summary, row["system"], float(row["snr_db"]), row["metric"])
        for key in ("mean", "low", "high", "n", "n_failed"):
            assert float(row[key]) == cell[key]
        assert row["params"] == ("" if row["system"] == "noisy" else str(SIZES[row["system"]][0]))
        assert row["n_mics"] == ("" if row["system"] == "noisy" else "2")


def test_markdown_is_a_table_for_each_metric_and_escapes_names() -> None:
    text = markdown_table(make_summary(names=("noisy", "student", EVIL)))
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    lines = [line for block in blocks[::2] for line in block]
    assert len(lines) == 3 * (2 + 3)
    assert {line.count(" | ") for line in lines} == {6}
    differences = [line for block in blocks[1::2] for line in block]
    assert len(differences) == 3 * (2 + 1)  # head and one pair for each metric
    assert {line.count(" | ") for line in differences} == {3}
    assert sum("+0.30 ±0.20" in line for line in differences) >= 1
    assert "<" not in text
    assert "| student | 56.5 k | 900 M | 2 | 1.55 ±0.10 | 1.60 ±0.10 | 1.65 ±0.10 |" in lines
    assert "n = 60 scored utterances" in text
    assert "WB-PESQ: pesq 0.0.4 (no corrigendum 2)" in text
    piped = make_summary(names=("noisy", "student"))
    for row in [*piped["systems"], *piped["table"]]:
        for key in ("name", "system"):
            if row.get(key) == "student":
                row[key] = "a|b"
    assert "| a\\|b |" in markdown_table(piped)


@pytest.mark.parametrize("width", [200, 48])
def test_the_terminal_shows_everything_at_any_width(width: int) -> None:
    summary = make_summary(names=("noisy", "teacher", "student"))
    cell_of(summary, "student", -5, "pesq_wb")["n_failed"] = 2
    buffer = io.StringIO()
    print_table(summary, Console(file=buffer, width=width))
    text = buffer.getvalue()
    for expected in ("teacher", "226 k", "3.6 G", "1.55", "±0.10†", "0.500", "2.5", "2 of 182", "pesq 0.0.4"):
        assert expected in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= width


def test_no_column_is_cut_off_on_a_narrow_terminal() -> None:
    text = json.dumps(make_summary(names=("noisy", "teacher", "student")))
    summary = json.loads(text.replace('"student', '"a_student_of_a_long_name'))
    buffer = io.StringIO()
    print_table(summary, Console(file=buffer, width=56))
    text = buffer.getvalue()
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 56
    parts = [line.split()[1:] for line in text.splitlines() if line.startswith((" WB-PESQ  ", " a_student"))]
    shown = [word for words in parts for word in words]
    assert [word for word in shown if word in ("−5", "0", "5")] == ["−5", "0", "5"]  # each column once, in its order
    assert [word for word in shown if word in ("1.55", "1.60", "1.65")] == ["1.55", "1.60", "1.65"]


def test_markdown_escapes_what_would_be_markup_in_a_cell() -> None:
    assert markdown.escape("a_b *c* ~~d~~ `e` | <i> & \\") == r"a\_b \*c\* \~\~d\~\~ \`e\` \| &lt;i> &amp; \\"
    assert markdown.escape("[a](b)\n[c]") == r"[a\](b) [c]"
    assert markdown.table(["A", "B"], [["c", "1"]]) == "| A | B |\n| --- | ---: |\n| c | 1 |"


@given(st.floats(1, 9e14))
def test_counts_keep_three_figures(value: float) -> None:
    digits, _, unit = count(value).partition(" ")
    factor = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}[unit]
    assert float(digits) * factor == pytest.approx(value, rel=5.1e-3)
    assert 1 <= float(digits) < 1000


def test_numbers_as_text() -> None:
    counts = {None: "–", 0: "0", 999: "999", 226_000: "226 k", 999_600: "1 M", 3.6e9: "3.6 G"}
    assert {value: count(value) for value in counts} == counts
    assert [number(value, 1) for value in (None, -0.04, -1.26, 2)] == ["–", "0.0", "−1.3", "2.0"]
    assert [number(value, 1, signed=True) for value in (0.01, 0.5, -0.5)] == ["0.0", "+0.5", "−0.5"]
    assert [percent(value) for value in (0.251, 0.0213, -0.5, 1.2)] == ["25 %", "2.1 %", "−50 %", "120 %"]
    assert [decibels(value) for value in (-5.0, 2.5)] == ["−5", "2.5"]
    assert [listing(["a"]), listing(["a", "b", "c"])] == ["a", "a, b and c"]
    assert unbroken("25 % of 3 G MACs in 5 Girls") == "25\xa0% of 3\xa0G MACs in 5 Girls"


def cell(mean: float | None, low: float | None, high: float | None) -> Cell:
    return Cell(mean, low, high, 60, 0)


def test_only_intervals_of_nearly_equal_sides_are_written_with_plus_minus() -> None:
    even, uneven, alone = cell(1.5, 1.25, 1.75), cell(0.02, -0.01, 0.07), cell(1.5, None, None)
    assert [with_interval(each, 2) for each in (even, uneven, alone)] == ["1.50 ±0.25", "0.02 (−0.01 to 0.07)", "1.50"]
    assert with_interval(cell(0.02, -0.01, 0.059), 2) == "0.02 ±0.03"  # sides of 0.03 and 0.039
    assert with_interval(cell(0.5, 0.406, 0.6), 3) == "0.500 ±0.097"
    assert with_interval(cell(0.5, 0.3, 0.6), 3) == "0.500 (0.300 to 0.600)"
    assert with_interval(cell(0.013, 0.001, 0.029), 2) == "0.01 (0.00 to 0.03)"  # ±0.01 would hold zero
    assert with_interval(uneven, 1) == "0.0 ±0.0"  # what the digits do not show is no difference
    assert with_interval(uneven, 2, signed=True) == "+0.02 (−0.01 to 0.07)"
    assert [with_interval(each, 2) for each in (None, cell(None, None, None))] == ["–", "–"]
    assert [with_unit(each, "si_sdr") for each in (cell(1.0, 0.5, 1.5), cell(1.0, 0.5, 2.0), alone)] == [
        "+1.0 ±0.5 dB",
        "+1.0 (0.5 to 2.0) dB",
        "+1.5 dB",
    ]
    shares = (cell(0.5, 0.4, 0.6), cell(0.5, 0.4, 0.9), cell(0.5, None, None), None, cell(None, None, None))
    assert [percent_interval(each) for each in shares] == ["50 ±10 %", "50 (40 to 90) %", "50 %", "–", "–"]


@given(*3 * [st.floats(-30, 30)], st.integers(0, 3))
def test_what_is_written_of_an_interval_gives_its_ends_back(a: float, b: float, c: float, digits: int) -> None:
    low, mean, high = sorted((a, b, c))
    text, unit = spread(cell(mean, low, high), digits).replace("−", "-"), 10.0**-digits
    if text.startswith("±"):
        ends = mean - float(text[1:]), mean + float(text[1:])
    else:
        first, last = text.strip("()").split(" to ")
        ends = float(first), float(last)
    assert ends == pytest.approx((low, high), abs=1.001 * max(unit, 0.5 * unit + (high - low) / 16))


@pytest.mark.parametrize("made", [markdown_table, latex_table, "terminal"])
def test_every_table_writes_uneven_intervals_out(made: Any) -> None:
    summary = whole_summary(names=("noisy", "teacher", "student"))
    cell_of(summary, "student", 0, "estoi")["high"] += 0.05
    for part in ("differences", "gain_kept"):
        for row in summary[part]:
            row["high"] = None if row["mean"] is None else row["high"] + 0.05
    if made == "terminal":
        print_table(summary, Console(file=(buffer := io.StringIO()), width=200))
        text = buffer.getvalue()
    else:
        text = made(summary).replace(r"\ (", " (").replace(r"\mbox{ to }", " to ")
    assert "0.500 (0.400 to 0.650)" in text
    assert "50 (38 to 67)" in text
    if made != latex_table:
        assert "+0.100 (0.000 to 0.250)" in text
    assert "95 % interval" in text


def test_the_mean_over_snr_needs_every_snr() -> None:
    summary = make_summary()
    assert parse_results(summary).mean_over_snr("student", "estoi") == pytest.approx(0.5)
    cell_of(summary, "student", 5, "estoi")["mean"] = float("nan")
    assert parse_results(summary).mean_over_snr("student", "estoi") is None
