"""Evaluations as they are written today: tables with p values and gain kept, LaTeX, pages, recordings, their size."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import soundfile
from rich.console import Console

from arrayse.report.build import build_report
from arrayse.report.evaluation import read_evaluation
from arrayse.report.latex import escape, latex_table
from arrayse.report.results import parse_results
from arrayse.report.table import csv_table, markdown_table, print_table
from arrayse.report.table_text import best_cells
from tests.report_example import (
    EVIL,
    GAIN,
    MEANS,
    SNRS,
    cell_of,
    whole_summary,
    write_examples,
    write_recordings,
    write_whole,
)
from tests.test_report import Page, page_of

AWKWARD = r"50%_{x} & \cmd #1 ~a^b <i>|$" + " · 3 µs ±1 – −2"


def pairs_summary() -> dict[str, Any]:
    """A folder of pairs: no SNR, only means over all."""
    return whole_summary(()) | {"source": "pairs", "split": None}


def test_the_null_rows_are_the_means_over_snr() -> None:
    summary = whole_summary()
    cell_of(summary, "student", None, "estoi")["mean"] = 0.77
    results = parse_results(summary)
    assert results.columns == (*SNRS, None)
    assert results.mean_over_snr("student", "estoi") == 0.77
    assert results.baseline == "student"
    assert results.gain_teacher == "teacher"
    assert parse_results(whole_summary((0.0,))).columns == (0.0,)  # the same numbers twice would be one too many
    assert parse_results(pairs_summary()).columns == (None,)
    best = {snr for name, snr, metric in best_cells(results) if metric == "pesq_wb"}
    assert best == {*SNRS, None}


def test_the_teacher_is_the_one_whose_gain_is_kept_or_else_the_largest() -> None:
    summary = whole_summary()
    summary["systems"].append(summary["systems"][1] | {"name": "teacher two", "params": 500_000})
    teacher = parse_results(summary).teacher
    assert teacher is not None
    assert teacher.name == "teacher"
    teacher = parse_results(summary | {"gain_kept": []}).teacher
    assert teacher is not None
    assert teacher.name == "teacher two"


def test_markdown_has_p_values_gain_kept_and_how_they_were_tested() -> None:
    text = markdown_table(whole_summary())
    assert "| System | Params | MACs/s | Mics | −5 dB | 0 dB | 5 dB | Mean |" in text
    assert "| student − noisy | " + " | ".join(["+0.40 ±0.10, p &lt; 0.001"] * 4) + " |" in text
    assert "| student − noisy | " + " | ".join(["+0.100 ±0.100, p 0.03"] * 4) + " |" in text
    assert "| Share of the gain of teacher over the noisy input | −5 dB | 0 dB | 5 dB | Mean |" in text
    assert "| student | 50 ±12 % | 50 ±12 % | 50 ±12 % | 50 ±12 % |" in text
    assert text.count("Share of the gain") == 2  # none in SI-SDR
    assert "Wilcoxon signed-rank test" in text
    assert "Means over trainings with different seeds, whose spread is in the intervals: student 2." in text
    assert "Failed scores: none." in text


def test_csv_has_medians_and_the_means_over_snr() -> None:
    summary = whole_summary()
    rows = list(csv.DictReader(io.StringIO(csv_table(summary))))
    assert len(rows) == len(GAIN) * len(MEANS) * 4
    for row in rows:
        cell = cell_of(summary, row["system"], float(row["snr_db"]) if row["snr_db"] else None, row["metric"])
        assert float(row["median"]) == cell["median"]
        assert float(row["mean"]) == cell["mean"]


@pytest.mark.parametrize("width", [200, 60])
def test_the_terminal_marks_significant_differences_and_shows_gain_kept(width: int) -> None:
    buffer = io.StringIO()
    print_table(whole_summary(names=("noisy", "teacher", "student")), Console(file=buffer, width=width))
    text = " ".join(buffer.getvalue().split())
    for expected in ("Mean", "±0.100*", "* p < 0.05", "50 ±12 %"):
        assert expected in text
    assert "±0.1*" not in text  # p is 0.2 in SI-SDR
    assert "Gain kept: share of the gain of teacher over the noisy input, with its 95 % interval." in text
    assert max(map(len, buffer.getvalue().splitlines())) <= width


def test_latex_is_balanced_escaped_and_has_the_best_in_bold() -> None:
    summary = json.loads(json.dumps(whole_summary()).replace(json.dumps(EVIL)[1:-1], json.dumps(AWKWARD)[1:-1]))
    cell_of(summary, "student", 0, "estoi")["n_failed"] = 2
    text = latex_table(summary)
    shown = re.sub(r"(?m)^%.*$", "", text)
    assert len(re.findall(r"\\begin\{tabular\}", shown)) == 3
    for table in shown.split(r"\begin{table}")[1:]:
        columns = re.search(r"\\begin\{tabular\}\{@\{\}(lr+)@\{\}\}", table)
        assert columns is not None
        rows = [line for line in table.splitlines() if line.endswith(r" \\")]
        assert len(rows) == 1 + len(GAIN)
        assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {len(columns[1])}
        plain = re.sub(r"\\[\\{}$&%#_]", "", table)
        assert plain.count("{") == plain.count("}")
        assert plain.count("$") % 2 == 0
        assert table.count(r"\mathbf") == 4
        assert "#" not in plain
        assert plain.isascii()
    assert r"$\mathbf{0.550} \pm 0.100^{*}$" in shown
    assert r"$\mathbf{4.5} \pm 0.1$" in shown  # p is 0.2
    assert r"$0.500 \pm 0.100^{\dagger}$" in shown
    assert r"$50 \pm 12\,\%$" in shown
    assert r"56.5 k" in shown
    assert "Gain kept: share of the gain of teacher over the noisy input." in shown
    assert "(Wilcoxon, Holm-corrected $p < 0.05$)" in shown


def test_latex_names_its_packages_and_compiles(tmp_path: Path) -> None:
    summary = json.loads(json.dumps(whole_summary()).replace(json.dumps(EVIL)[1:-1], json.dumps(AWKWARD)[1:-1]))
    for row in [*summary["table"], *summary["gain_kept"]]:
        row["high"] = row["high"] and row["high"] + 0.07
    for row in summary["differences"]:  # that the table is too wide for its line
        row["p_holm"] = 0.01
    (tmp_path / "table.tex").write_text(latex_table(summary))
    head = (tmp_path / "table.tex").read_text().splitlines()[0]
    packages = re.findall(r"\\usepackage\{\w+\}", head)
    assert packages == [r"\usepackage{booktabs}", r"\usepackage{graphicx}"]
    if shutil.which("pdflatex") is None:
        pytest.skip("needs pdflatex")
    assert r"\ (0.400\mbox{ to }0.670)" in (tmp_path / "table.tex").read_text()
    body = rf"\documentclass{{article}}{''.join(packages)}\begin{{document}}\input{{table}}\end{{document}}"
    (tmp_path / "paper.tex").write_text(body)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    log = (tmp_path / "paper.log").read_text(errors="replace")
    assert "Overfull" not in log
    assert "Missing character" not in log


def test_latex_tells_of_letters_that_not_every_engine_prints() -> None:
    assert "pdfLaTeX" not in latex_table(whole_summary())
    named = json.loads(json.dumps(whole_summary()).replace('"student"', '"Schüler"'))
    assert "not ASCII" in latex_table(named).split("\n\n")[0]


def test_tables_tell_what_microphones_a_system_hears_only_where_it_is_known() -> None:
    summary = whole_summary()
    assert "System & Params & MACs/s & Mics &" in latex_table(summary)
    assert "student & 56.5 k & 900 M & 2 &" in latex_table(summary)
    for system in summary["systems"]:
        system["mics"] = None
    assert "Mics" not in latex_table(summary) + markdown_table(summary)


def test_tables_tell_nothing_of_the_disk() -> None:
    summary = whole_summary() | {"data": "/home/me/sets/data/glasses"}
    for text in (markdown_table(summary), latex_table(summary)):
        assert "/home" not in text
        assert "data/glasses" in text


def test_every_letter_latex_knows_is_escaped() -> None:
    assert escape("a_b & 5%") == r"a\_b \& 5\%"
    assert escape("\\~^") == r"\textbackslash{}\textasciitilde{}\textasciicircum{}"
    assert escape("{$#}") == r"\{\$\#\}"
    assert escape("a--b ?` ''") == "a-{}-b ?{}` '{}'"
    assert escape("−1 ±2 µs  x\n") == r"\ensuremath{-}1 \ensuremath{\pm}2 \ensuremath{\mu}s x"


def test_pairs_have_one_column_and_no_curves(tmp_path: Path) -> None:
    summary = pairs_summary()
    assert "| System | Params | MACs/s | Mics | Mean |" in markdown_table(summary)
    assert "Scores compare with the clean file of each pair." in markdown_table(summary)
    assert "Input SNR" not in latex_table(summary)
    print_table(summary, Console(file=io.StringIO(), width=100))
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    page = page_of([tmp_path], tmp_path / "report.html")
    assert "60 pairs" in page.text
    assert "Curves over SNR" not in page.text
    assert "averaged over all pairs" in page.text
    assert not re.search(r"\b(nan|none)\b", page.text.lower().replace("failed scores: none", ""))


def test_recordings_are_only_heard(tmp_path: Path) -> None:
    page = page_of([write_recordings(tmp_path / "eval")], tmp_path / "report.html")
    assert "Without a reference nothing was scored" in page.text
    assert len(page.find("audio")) == 2
    assert "dB SNR" not in page.text
    assert "Results" not in page.text
    assert [source for source in page.find("a") if "download" in source] == []


def test_the_page_of_today_holds_all_parts_and_tables_to_take_along(tmp_path: Path) -> None:
    folder = write_whole(tmp_path / "<script>alert(1)</script>".replace("/", "∕"))
    page = page_of([folder], tmp_path / "report.html")
    for title in ("Overview", "Results by SNR", "Curves over SNR", "Quality and size", "Single utterances"):
        assert title in page.text
    assert "60 scenes are in no group of doa: measured <room>." in page.text
    assert "2 seeds" in page.text
    assert "Of several trainings the first is heard." in page.text
    assert "Sounds are lossless" in page.text
    assert {image["alt"] for image in page.find("img")} >= {"Spectrogram of student", "Mask of student"}
    summary = json.loads((folder / "summary.json").read_text())
    files = {link["download"]: link["href"] or "" for link in page.find("a") if "download" in link}
    texts = {name: base64.b64decode(uri.partition(",")[2]).decode() for name, uri in files.items()}
    assert texts == {
        "table.csv": csv_table(summary),
        "table.md": markdown_table(summary),
        "table.tex": latex_table(summary),
    }
    assert "0.083" in page.text  # the real-time factor, by speed.json


def test_speeds_belong_to_systems_or_their_first_training() -> None:
    results = parse_results(whole_summary(), {"student_s0": {"real_time_factor": 0.5}, "teacher": {}})
    assert {system.name: system.real_time_factor for system in results.systems if system.params} == {
        "teacher": None,
        "student": 0.5,
        EVIL: None,
    }


def test_networks_for_another_array_are_labelled(tmp_path: Path) -> None:
    summary = whole_summary()
    summary["systems"][2]["foreign_array"] = "earbuds <x>"
    assert "student was trained for the array earbuds &lt;x>." in markdown_table(summary)
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    assert "trained for earbuds <x>" in page_of([tmp_path], tmp_path / "report.html").text


def test_six_systems_and_twelve_clips_stay_below_ten_megabytes(tmp_path: Path) -> None:
    names = ("noisy", "teacher", *(f"student {number}" for number in range(5)))
    summary = whole_summary(names=("noisy", "teacher", "student"))
    student = summary["systems"].pop()
    summary["systems"] += [student | {"name": name, "runs": [name], "n_seeds": 0} for name in names[2:]]
    write_examples(tmp_path, ("target", *names), n_scenes=12, seconds=4.0)
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    out = build_report([tmp_path], tmp_path / "report.html")
    assert out.stat().st_size < 10_000_000
    page = Page(out.read_text())
    assert len(page.find("audio")) == 12 * 8
    assert "its sounds are MP3" in page.text
    content = base64.b64decode((page.find("audio")[3]["src"] or "").partition(",")[2])
    wave, rate = soundfile.read(io.BytesIO(content))
    assert (len(wave), rate) == (4 * 16000, 16000)


@pytest.mark.parametrize("spoiled", [{"estoi": [1]}, {"system": 3}, {"snr_db": "0"}, {"reasons": []}, None])
def test_rows_that_are_none_are_refused(spoiled: dict[str, Any] | None, tmp_path: Path) -> None:
    folder = write_whole(tmp_path / "evaluation")
    (row, *others) = map(json.loads, (folder / "rows.jsonl").read_text().splitlines())
    lines = [row, spoiled and {**row, **spoiled}, *others]
    (folder / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(ValueError, match=r"rows\.jsonl: line 2: expected system, scene, SNR and scores, got"):
        read_evaluation(folder)
