"""Which file a name means, and what is told of names that mean none and of files that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from arrayse.config import ConfigError, config_root, find_config, read_config


def told(error: pytest.ExceptionInfo[ConfigError]) -> str:
    (line,) = str(error.value).splitlines()
    return line


@pytest.mark.parametrize("name", ["teacher", "train/teacher", "configs/train/teacher.yaml", "train/teacher.yaml"])
def test_named_configs_are_found_from_any_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_config(name, "train") == config_root() / "train" / "teacher.yaml"


def test_a_name_without_an_ending_means_a_named_config_even_if_a_file_of_that_name_lies_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train").mkdir()
    for name in ("student.yaml", "teacher", "train/student.yaml", "mine.yaml"):
        (tmp_path / name).write_text("epochs: 1\n")
    for name in ("student", "train/student", "configs/train/student"):
        assert find_config(name, "train") == config_root() / "train" / "student.yaml"
    assert find_config("teacher", "train") == config_root() / "train" / "teacher.yaml"
    for name in (
        "student.yaml",
        "./student",
        "./student.yaml",
        str(tmp_path / "student"),
        "../" + tmp_path.name + "/student",
    ):
        assert find_config(name, "train").resolve() == (tmp_path / "student.yaml").resolve()
    assert find_config("train/student.yaml", "train") == Path("train/student.yaml")
    assert find_config("mine", "train") == Path("mine.yaml")


@pytest.mark.parametrize(
    ("group", "name", "hint"),
    [
        ("train", "teecher", "did you mean train/teacher?"),
        ("simulate", "quikstart", "did you mean simulate/quickstart?"),
        ("distill", "studnt", "did you mean train/student?"),
        ("distill", "lin", "did you mean distill/lin_one_step or distill/lin_two_step?"),
        ("train", "dfkd", "did you mean distill/dfkd_one_step or distill/dfkd_snr_one_step?"),
        ("train", "modell/dccrm", "did you mean model/dccrn?"),
        ("train", "configs/model/dccrm.yaml", "did you mean model/dccrn?"),
        ("train", "zzz", "configs/train has quickstart_student, quickstart_teacher, student, teacher"),
        ("train", "", "configs/train has quickstart_student, quickstart_teacher, student, teacher"),
        ("train", "runs/studnet", "no such file"),
        ("report", "zzz", "no such file"),
    ],
)
def test_a_missing_config_names_the_near_ones_or_else_its_group(group: str, name: str, hint: str) -> None:
    with pytest.raises(ConfigError) as error:
        find_config(name, group, "a run or a config")
    assert told(error) == f"config: expected a run or a config, got {name}: {hint}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1\n", ": expected YAML, got the end of the file too early: "),
        ("fit:\n  epochs: 1\n seconds: 2\n", " line 3: expected YAML, got 'seconds: 2': "),
        (
            "fit:\n\tseconds: 2\n",
            " line 2: expected YAML, got 'seconds: 2', which begins with a tab: YAML in",
        ),
        ("a: 1\nb: 2\na: 3\n", " line 3: expected YAML, got 'a: 3': found duplicate key a while construct"),
        ("- 1\n", ": expected a YAML mapping, got a list"),
        ("\udce9: 1\n", ": expected a YAML mapping, got "),
    ],
)
def test_a_file_that_cannot_be_read_is_told_in_one_line(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError) as error:
        read_config("train", [str(path)])
    assert told(error).startswith(f"{path}{message}")


def test_an_override_that_is_no_yaml_is_named() -> None:
    with pytest.raises(ConfigError) as error:
        read_config("train", ["student", "mics=[0,1"])
    assert told(error).startswith("mics: expected a value as in YAML, got '[0,1': ")
