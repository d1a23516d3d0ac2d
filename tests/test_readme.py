"""What the README shows is run: its own network and its own loss train, its Python works, its files are there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from arrayse.checkpoint import load_enhancer
from arrayse.manifest import SceneEntry
from arrayse.mixture import open_dataset
from tests.test_installed import install
from tests.tiny_runs import saved

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("experiments/*/README.md"))]
MAIN = "from arrayse.cli import main; main()"


def example(having: str, page: str = README) -> str:
    """The one block of Python on a page that has this text."""
    (found,) = [block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if having in block]
    return str(found)


def run_python(code: str, *arguments: str, packages: Path | None = None) -> str:
    """Runs code in a process of its own, with what is installed in a folder of packages."""
    paths = [str(ROOT), *([] if packages is None else [str(packages)])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder as ``pip install`` leaves it of the package of the README."""
    (table,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    project = tomllib.loads(table)["project"]
    assert all(is_short(example(having)) for having in ("class Pointwise", "class MaskL2"))
    return install(
        tmp_path / "packages",
        project["name"],
        "\n".join(example(having) for having in ("class Pointwise", "class MaskL2")),
        project["entry-points"],
    )


def is_short(code: str) -> bool:
    return len([line for line in code.splitlines() if line.strip()]) <= 15


def test_the_network_of_the_readme_trains_and_loads(packages: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    common = ["epochs=1", "fit.batch_size=2", "fit.seconds=0.2", f"data={tiny_dataset}", f"out={tmp_path / 'run'}"]
    out = run_python(MAIN, "train", "student", "model={name: pointwise, hidden: 4}", *common, packages=packages)
    assert "pointwise" in (tmp_path / "run" / "model.json").read_text()
    assert "run:" in out
    with pytest.raises(ValueError, match="got pointwise: a network of another package wants that package installed"):
        load_enhancer(tmp_path / "run")  # here it is not installed
    profiled = run_python(MAIN, "profile", str(tmp_path / "run"), "rtf=false", packages=packages)
    assert "Latency: algorithmic" in profiled


def test_the_loss_of_the_readme_teaches(packages: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    teacher = saved("ft_jnf", tmp_path / "teacher")
    common = ["epochs=1", "fit.batch_size=2", "fit.seconds=0.2", f"data={tiny_dataset}", f"out={tmp_path / 'run'}"]
    term = ["distill={terms: {kd: {weight: 0.5, loss: {name: mask_l2}}}}", f"teacher={teacher}"]
    sizes = ["stft={n_fft: 64, win_length: 48, hop_length: 16}", "model.freq_hidden=4", "model.time_hidden=4"]
    run_python(MAIN, "distill", "student", *sizes, *term, *common, packages=packages)
    assert '"kd"' in (tmp_path / "run" / "metrics.jsonl").read_text()
    assert "mean(M_S − M_T)²" in run_python(MAIN, "distill", "--list", packages=packages)


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
