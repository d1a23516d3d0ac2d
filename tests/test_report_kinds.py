"""Pages of every kind of evaluation: pairs of ears, files with and without reference, several folders."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from arrayse.evaluation.loop import evaluate
from arrayse.evaluation.summary import Request
from arrayse.files import read_json
from arrayse.geometry import ArrayGeometry, circular
from tests.report_example import whole_summary, write_recordings
from tests.test_evaluate import make_run
from tests.test_evaluate_files import request_for, write_pairs
from tests.test_report import Page, page_of


@pytest.fixture(scope="module")
def evaluations(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Evaluations of today: of two ears, of pairs of files, of recordings."""
    folder = tmp_path_factory.mktemp("evaluations")
    left, right = (make_run(folder / f"at{mic}", circular(), [0, 1, 4], mic) for mic in (1, 4))
    ears = {"ears": ("left", "right")}
    two = {"left": left, "right": right}
    wanted = Request(two, tiny_dataset, "test", [0.0, 5.0], None, ["si_sdr"], None, 1, 0, binaural=ears)
    evaluate(wanted, folder / "binaural", 1, {})
    one = {"one": make_run(folder / "one", ArrayGeometry([[0, 0, 0]], name="one"))}
    pairs = write_pairs(folder / "files", tiny_dataset, 1)
    evaluate(request_for(pairs, one), folder / "pairs", 1, {})
    shutil.move(pairs / "noisy", folder / "field")
    evaluate(request_for(folder / "field", one, "recordings", metrics=[]), folder / "recordings", 1, {})
    return {kind: folder / kind for kind in ("binaural", "pairs", "recordings")}


def table_of(page: Page, first: str) -> list[list[str]]:
    """Rows of every table whose first cell begins with a text, without what stands around their texts."""
    return [[cell.strip() for cell in row] for row in page.rows if row and row[0].strip().startswith(first)]


def test_two_ears_have_cells_of_their_own_metrics_and_dashes_elsewhere(
    evaluations: dict[str, Path], tmp_path: Path
) -> None:
    page = page_of([evaluations["binaural"]], tmp_path / "report.html")
    summary = read_json(evaluations["binaural"] / "summary.json", "summary")
    assert summary["metrics"] == ["si_sdr", "itd_error_us", "ild_error_db"]
    difference = next(row for row in table_of(page, "ears") if "noisy mics 1 and 4" in row[0])
    assert difference[1:4] == ["–"] * 3  # three columns of SI-SDR, which no pair of ears has
    assert all(re.match(r"[+−]?\d", cell) for cell in difference[4:])
    mono = next(row for row in table_of(page, "left") if "noisy mic 1" in row[0])
    assert all(re.match(r"[+−]?\d", cell) for cell in mono[1:4])
    assert mono[4:] == ["–"] * 6
    mics = {row[0]: row[3] for row in table_of(page, "") if len(row) == 4 + 9}
    assert mics == dict.fromkeys(("left", "right", "ears"), "3") | dict.fromkeys(
        ("noisy", "noisy mic 1", "noisy mic 4", "noisy mics 1 and 4"), "–"
    )
    assert "other microphones, untouched" in page.text


def test_pages_of_files_say_pairs_or_recordings_and_never_scenes_or_snr(
    evaluations: dict[str, Path], tmp_path: Path
) -> None:
    pairs = page_of([evaluations["pairs"]], tmp_path / "pairs.html")
    assert "2 pairs" in pairs.text
    assert "n = 2 scored utterances behind each number (2 pairs, the same for every system)." in pairs.text
    assert "Only 2 pairs: intervals and p values are not to be trusted." in pairs.text
    assert "(averaged over all pairs)" in pairs.text
    recordings = page_of([evaluations["recordings"]], tmp_path / "recordings.html")
    assert "2 recordings" in recordings.text
    assert "Without a reference nothing was scored" in recordings.text
    for page in (pairs, recordings):
        assert "dB SNR" not in page.text
        assert "Curves over SNR" not in page.text
        assert "2 scenes" not in page.text
        assert len(page.find("audio")) in (2, 3)
        assert "Origin" not in page.text  # an empty part has no heading
        targets = {(link["href"] or "")[1:] for link in page.find("a") if "download" not in link}
        assert targets <= {attributes.get("id") or "" for _, attributes in page.tags}


def test_recordings_with_ratings_alone_have_a_table_and_a_summary(tmp_path: Path) -> None:
    folder = write_recordings(tmp_path / "eval")
    text = json.dumps(whole_summary(())).replace("pesq_wb", "dnsmos_sig").replace("estoi", "dnsmos_ovrl")
    summary = json.loads(text) | {"source": "recordings", "split": None, "metrics": ["dnsmos_sig", "dnsmos_ovrl"]}
    summary |= {part: [] for part in ("gain_kept", "breakdown")}
    (folder / "summary.json").write_text(json.dumps(summary))
    page = page_of([folder], tmp_path / "report.html")
    assert "There is no reference: scores are foretold from the sound alone." in page.text
    assert "DNSMOS SIG" in page.text
    assert "(averaged over all recordings)" in page.text
    assert table_of(page, "teacher")[0][1].startswith("2.00")


def test_models_without_a_single_score_are_not_said_to_be_none(tmp_path: Path) -> None:
    summary = whole_summary(()) | {"source": "pairs", "split": None}
    for row in summary["table"]:
        if row["system"] != "noisy":
            row |= {"mean": None, "low": None, "high": None, "median": None, "n": 0, "n_failed": 60}
    (tmp_path / "summary.json").write_text(json.dumps(summary | {"differences": [], "gain_kept": []}))
    page = page_of([tmp_path], tmp_path / "report.html")
    assert "No model has a value of WB-PESQ." in page.text
    assert "No model in this evaluation" not in page.text


def test_several_kinds_follow_each_other_on_one_page(evaluations: dict[str, Path], tmp_path: Path) -> None:
    page = page_of(list(evaluations.values()), tmp_path / "report.html")
    assert len(page.find("section")) == 3
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    names = [radio["name"] for radio in page.find("input") if radio["type"] == "radio"]
    assert {name: names.count(name) for name in names} == {"e1-p0": 4, "e2-p0": 3, "e3-p0": 2}


def test_evaluations_of_one_dataset_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "summary.json").write_text(json.dumps(whole_summary() | {"data": "data/office"}))
    page = page_of([tmp_path / "first", tmp_path / "second"], tmp_path / "report.html")
    assert "data/office: first" in page.text
    assert "data/office: second" in page.text
    assert "data/office: first" not in page_of([tmp_path / "first"], tmp_path / "one.html").text
