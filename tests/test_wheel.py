"""What people install: the wheel holds both packages and the named configs, and works from any folder."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the content of the wheel, as an installation lays it out."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        str(ROOT),
        "--no-deps",
        "--no-build-isolation",
        "-q",
        "-w",
        str(folder),
    ]
    subprocess.run(build, check=True, capture_output=True, cwd=folder)
    (wheel,) = folder.glob("arrayse-*.whl")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(folder / "site")
    return folder / "site"


def test_it_holds_what_it_needs_and_nothing_else(installed: Path) -> None:
    tops = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert tops == {"arrayse", "simulate"}
    configs = {path.relative_to(ROOT / "configs") for path in (ROOT / "configs").rglob("*.yaml")}
    assert {path.relative_to(installed / "arrayse/configs") for path in installed.rglob("*.yaml")} == configs
    templates = {
        path.name for path in (ROOT / "arrayse" / "report").iterdir() if path.suffix in {".html", ".css", ".js"}
    }
    assert templates <= {path.name for path in (installed / "arrayse" / "report").iterdir()}


def test_named_configs_are_found_from_any_folder(installed: Path, tmp_path: Path) -> None:
    code = (
        "from arrayse.config import config_root, find_config, read_array;"
        "print(config_root()); print(find_config('teacher', 'train')); print(read_array('glasses').n_mics)"
    )
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    root, teacher, n_mics = done.stdout.split()
    assert Path(root) == installed / "arrayse" / "configs"
    assert Path(teacher) == installed / "arrayse" / "configs" / "train" / "teacher.yaml"
    assert n_mics == "5"
