"""What files and configurations cannot do: run code, name modules, read the environment, reach other folders."""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from arrayse.config import ConfigError, read_config
from arrayse.files import sha256_of
from arrayse.verbs.data import run_verify
from tests.stress.configs import ATTACKS, SECRET
from tests.test_imports import imported, sources

MODULES = {
    *("pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"),
    *("zipfile", "tarfile", "zipimport", "code", "codeop", "runpy", "pty", "commands", "imp"),
}
"""What makes objects out of bytes, unpacks archives, or runs text."""

CALLS = {
    *("eval", "exec", "compile", "__import__", "input", "os.system", "os.popen", "shutil.unpack_archive"),
    *("torch.load", "torch.jit.load", "torch.hub.load", "numpy.load", "np.load", "numpy.loads", "np.loads"),
    *("yaml.load", "yaml.unsafe_load", "yaml.full_load", "OmegaConf.register_new_resolver"),
    *("OmegaConf.register_resolver", "hydra.utils.instantiate", "pandas.read_pickle"),
}
NAMES = {"load_pickle", "unsafe_load", "unpack_archive", "register_new_resolver"}
"""Whatever they are called on, or imported from."""

IMPORTS_BY_NAME = {"arrayse/doctor.py", "arrayse/stream/live.py"}
"""They import a package whose name stands in the source, to see whether it is there."""


def found(text: str, where: str = "") -> Iterator[str]:
    """What a source has that could run or unpack what a file says."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in CALLS or name.rpartition(".")[2] in NAMES:
                yield name
            if name.rpartition(".")[2] == "import_module" and where not in IMPORTS_BY_NAME:
                yield name
            for keyword in node.keywords:
                if ast.unparse(keyword) in ("shell=True", "allow_pickle=True", "weights_only=False"):
                    yield ast.unparse(keyword)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names if _is_bad(node.module, alias.name))


def _is_bad(module: str | None, name: str) -> bool:
    return f"{module}.{name}" in CALLS or name in NAMES


def test_nothing_in_the_source_runs_or_unpacks_what_a_file_says() -> None:
    root = Path(__file__).parents[1]
    for path in sources():
        assert not MODULES & {name.split(".")[0] for name in imported(path)}, path
        assert [*found(path.read_text(encoding="utf-8"), path.relative_to(root).as_posix())] == [], path


@pytest.mark.parametrize(
    "text",
    [
        *("torch.load(path)", "from torch import load", "eval(text)", "exec(text)", "np.load(path, allow_pickle=True)"),
        *("subprocess.run(text, shell=True)", "yaml.load(file)", "omegaconf.OmegaConf.register_new_resolver('a', b)"),
        *("importlib.import_module(name)", "f(weights_only=False)", "shutil.unpack_archive(path)", "__import__(name)"),
    ],
)
def test_the_search_finds_what_it_looks_for(text: str) -> None:
    assert [*found(text)]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("way", ["override", "file", "name"])
def test_no_config_value_is_more_than_text(
    attack: str, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused, or it is a folder with a strange name."""
    marker, config = tmp_path / "marker", tmp_path / "config.yaml"
    monkeypatch.setenv("ARRAYSE_SECRET", SECRET)
    text = attack.replace("MARKER", str(marker))
    config.write_text(
        f"model: {{name: {json.dumps(text)}}}\n" if way == "name" else f"data: {text}\n", encoding="utf-8"
    )
    arguments = (
        ["student", f"data={text}"] if way == "override" else ["student", str(config), "data=d"][: 2 + (way == "name")]
    )
    told = ""
    try:
        told = str(values := read_config("train", [*arguments, "out=o"]))
    except ConfigError as error:
        told = str(error)
    else:
        assert way != "name"
        assert Path(values["data"]) in (Path(text), Path.cwd() / text)
    assert SECRET not in told
    assert not marker.exists()


def test_a_line_of_a_manifest_cannot_vouch_for_a_file_elsewhere(tiny_dataset: Path, tmp_path: Path) -> None:
    data, secret = tmp_path / "data", tmp_path / "secret.wav"
    shutil.copytree(tiny_dataset, data)
    manifest = next((data / "train").glob("*/manifest.jsonl"))
    first, *others = manifest.read_text().splitlines()
    row = json.loads(first)
    shutil.move(manifest.parent / row["file"], secret)
    row |= {"file": "../../../secret.wav", "sha256": sha256_of(secret)}
    manifest.write_text("\n".join([json.dumps(row), *others]) + "\n")
    problems, _ = run_verify(data, 1, False, lambda done, total: None)
    assert any("secret.wav" in problem for problem in problems)
