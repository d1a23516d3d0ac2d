"""What the README shows is run: its own network and its own loss train, its Python works, its files are there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from arrayse.manifest import SceneEntry
from arrayse.mixture import open_dataset
from tests.tiny_runs import saved

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("experiments/*/README.md"))]

REGISTER = """
from arrayse.{where} import {table}
{table}["{name}"] = {made}
from arrayse.cli import main
main()
"""
"""What the README asks for: the class in the table, then the command line as it is."""


def example(having: str, page: str = README) -> str:
    """The one block of Python on a page that has this text."""
    (found,) = [block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if having in block]
    return str(found)


def run_python(code: str, *arguments: str) -> str:
    """Runs code in a process of its own, as tables of this one are not to change."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def is_short(code: str) -> bool:
    return len([line for line in code.splitlines() if line.strip()]) <= 15


def test_the_network_of_the_readme_trains_and_loads(tiny_dataset: Path, tmp_path: Path) -> None:
    code = example("class Pointwise")
    assert is_short(code)
    register = REGISTER.format(where="models", table="NETS", name="pointwise", made="Pointwise")
    common = ["epochs=1", "fit.batch_size=2", "fit.seconds=0.2", f"data={tiny_dataset}", f"out={tmp_path / 'run'}"]
    out = run_python(code + register, "train", "student", "model={name: pointwise, hidden: 4}", *common)
    assert "pointwise" in (tmp_path / "run" / "model.json").read_text()
    assert "run:" in out
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_the_loss_of_the_readme_teaches(tiny_dataset: Path, tmp_path: Path) -> None:
    code = example("class MaskL2")
    assert is_short(code)
    teacher = saved("ft_jnf", tmp_path / "teacher")
    register = REGISTER.format(where="kd.methods", table="METHODS", name="mask_l2", made="MaskL2")
    common = ["epochs=1", "fit.batch_size=2", "fit.seconds=0.2", f"data={tiny_dataset}", f"out={tmp_path / 'run'}"]
    term = ["distill={terms: {kd: {weight: 0.5, loss: {name: mask_l2}}}}", f"teacher={teacher}"]
    sizes = ["stft={n_fft: 64, win_length: 48, hop_length: 16}", "model.freq_hidden=4", "model.time_hidden=4"]
    run_python(code + register, "distill", "student", *sizes, *term, *common)
    assert '"kd"' in (tmp_path / "run" / "metrics.jsonl").read_text()


def test_the_python_of_the_formats_page_reads_a_dataset(tiny_dataset: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/formats.md").read_text(encoding="utf-8"), re.DOTALL)
    assert 'Path("data/glasses")' in code
    assert re.match(r"\(\d, \d+\) \(\d, \d+\) 0\.\d+", run_python(code.replace("data/glasses", str(tiny_dataset))))


def test_the_formats_page_names_every_file_of_a_dataset_and_every_key_of_an_excerpt(tiny_dataset: Path) -> None:
    page = (ROOT / "docs/formats.md").read_text(encoding="utf-8")
    names = {path.name for path in tiny_dataset.rglob("*") if path.is_file() and path.suffix != ".wav"}
    pieces = [piece for entry in open_dataset(tiny_dataset).entries("test") for piece in pieces_of(entry)]
    assert len(names) >= 4
    assert not [name for name in names | {*pieces[0]} if not re.search(rf"`([\w/-]+/)?{re.escape(name)}`", page)]


def pieces_of(entry: SceneEntry) -> list[dict[str, object]]:
    return [piece for excerpt in entry.numbers["source_excerpts"] for piece in excerpt["pieces"]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_file_that_a_page_links_to_is_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_section_that_a_page_links_to_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    assert set(re.findall(r"\]\(#([^)]*)\)", text)) <= anchors


def test_the_responses_of_the_docs_have_the_asked_decay() -> None:
    shape, rt60 = run_python(example("room_responses", (ROOT / "docs" / "simulator.md").read_text())).rsplit(" ", 1)
    assert shape.startswith("(1, 5, ")
    assert float(rt60) == pytest.approx(0.4, rel=0.02)
