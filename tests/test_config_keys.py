"""Keys that are unknown or missing: what is told about them, and what the list of all keys says."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from arrayse.cli.settings import VERBS
from arrayse.config import ConfigError, read_config
from arrayse.config.keys import NEEDED, Key, list_keys
from arrayse.models import NETS
from arrayse.schema import SCHEMAS
from arrayse.schema.docstrings import summary_of, told_of_arguments
from tests.test_cli import arrayse

DISTILL = ["student", "lin_one_step", "data=d", "out=o"]
TERM = "distill.terms.lin"


def told(verb: str, *arguments: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        read_config(verb, list(arguments))
    return str(error.value).splitlines()


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("fit.seed", "did you mean seed?"),
        ("batch_size", "did you mean fit.batch_size?"),  # not the one of a distillation loss, which lies deeper
        ("batchsize", "did you mean fit.batch_size?"),
        ("name", "did you mean model.name or loss.name?"),
        ("model.n_fft", "did you mean stft.n_fft?"),
        ("sed", "did you mean seed?"),
        (f"{TERM}.loss.weight", f"did you mean {TERM}.weight?"),
        (f"{TERM}.los", "did you mean loss?"),
        ("fit.xyz", "known are batch_size, checkpoint_steps, draws, "),
    ],
)
def test_a_key_that_is_called_so_elsewhere_is_told_with_its_whole_path(key: str, hint: str) -> None:
    known = f"{key}: expected a known key, got an unknown one: {hint}"
    assert any(line.startswith(known) for line in told("distill", *DISTILL, f"{key}=3"))


def test_a_key_of_another_network_is_not_told_to_stand_where_it_stands() -> None:
    (line,) = told("train", "student", "data=d", "out=o", "model={name: fullband, freq_hidden: 3}")
    assert line.startswith("model.freq_hidden: expected a known key, got an unknown one: ")
    assert "did you mean model.freq_hidden" not in line


def test_missing_sections_are_told_with_what_brings_them() -> None:
    lines = told("distill")
    assert [line.split(":")[0] for line in lines] == ["data", "out", "model", "distill"]
    assert "arrayse simulate" in lines[0]
    assert "train config such as teacher or student" in lines[2]
    for line in (lines[3], *told("distill", "student", "data=d", "out=o", "distill.schedule=one_step")):
        assert "lin_one_step" in line
        assert "distill.terms.NAME.loss=" in line


# --- the list of all keys -------------------------------------------------------------------------------------------


def listed(verb: str) -> dict[str, Key]:
    return {key.key: key for key in list_keys(SCHEMAS[verb])}


def test_every_key_says_what_it_means() -> None:
    """But those of losses whose class does not say it."""
    for verb in SCHEMAS:
        silent = {key.key for key in list_keys(SCHEMAS[verb]) if not key.meaning and " | " not in key.kind}
        assert silent <= {"loss.wave_weight"}, verb


def test_meanings_are_those_of_the_classes_in_the_words_of_a_config() -> None:
    keys = listed("train")
    assert keys["fit.gradient_clip"].meaning == "largest norm of the gradient."
    assert keys["fit.epoch_steps"].meaning.endswith("; null: as many as there are full batches.")
    assert keys["fit.epoch_steps"].default == "null"
    assert (keys["fit.snr_db"].default, keys["fit.tensorboard"].default) == ("[-5.0,15.0]", "false")
    assert keys["data"] == Key("data", NEEDED, "text", "folder of the dataset, which arrayse simulate made.")
    assert keys["seed"].kind == "int, ≥ 0, ≤ 4294967295"
    assert "``" not in "".join(key.meaning for verb in SCHEMAS for key in list_keys(SCHEMAS[verb]))


def test_arguments_follow_the_name_of_their_class() -> None:
    keys = list_keys(SCHEMAS["train"])
    names = [key.default for key in keys if key.key == "model.name"]
    assert names == list(NETS)
    first = next(number for number, key in enumerate(keys) if key.key == "model.name")
    assert keys[first].chooses
    assert keys[first].meaning == summary_of(NETS["ft_jnf"])
    assert keys[first + 1].key == "model.preset"
    assert [key.kind for key in keys if key.key == "loss.name"] == ["default", "", "", ""]


def test_what_is_listed_can_be_told() -> None:
    """Every default but those of names that have to be chosen, as an override."""
    for verb in ("simulate", "evaluate", "sweep", "profile", "stream_live", "benchmark"):
        keys = [key for key in list_keys(SCHEMAS[verb]) if key.default != NEEDED]
        needed = {"simulate": ["out=o"], "evaluate": ["out=o"], "sweep": ["snr", "data=d", "out=o"]}.get(verb, [])
        told = [f"{key.key}={key.default}" for key in keys]
        assert read_config(verb, [*needed, *told]) == read_config(verb, needed)


def test_the_verbs_of_the_help_are_known() -> None:
    assert {verb.replace(" ", "_") for verb in VERBS} <= set(SCHEMAS)


def test_verbs_are_told_as_they_are_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert arrayse(monkeypatch, "keys", "stream", "live") == 0
    assert "gain_db=0.0" in capsys.readouterr().out
    assert arrayse(monkeypatch, "keys", "distil") == 2
    told = capsys.readouterr().err
    assert "array show" in told
    assert told.endswith("got distil: did you mean distill?\n")


def test_a_configuration_is_shown_as_a_run_would_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ["student", "lin_one_step", "model.freq_hidden=7", "teacher=t"]
    assert arrayse(monkeypatch, "config", "distill", *told) == 0
    (tmp_path / "mine.yaml").write_text(capsys.readouterr().out, encoding="utf-8")
    mine, places = str(tmp_path / "mine.yaml"), ["data=d", "out=o"]
    assert read_config("distill", [mine, *places]) == read_config("distill", [*told, *places])
    with pytest.raises(ConfigError, match=r"^data: expected a file or folder, got '…'\nout: "):
        read_config("distill", [mine])
    assert arrayse(monkeypatch, "config", "stream", "live", "gain_db=-6") == 0
    assert "gain_db: -6.0" in capsys.readouterr().out
    assert arrayse(monkeypatch, "config", "distill") == 2
    assert "model: expected" in capsys.readouterr().err


def test_lines_are_no_longer_than_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert arrayse(monkeypatch, "keys", "distill") == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines) <= 100
    assert not any(line != line.rstrip() for line in lines)
    assert "fit.batch_size=4" in [line.split("  ")[0] for line in lines]
    assert "    largest norm of the gradient." in lines


def test_docstrings_are_read_with_what_they_extend_and_without_marks() -> None:
    class Base:
        """Of a class.

        Attributes:
            a: the first, see
                :class:`x.y.Pair` and ``b``.
            b: the second: of two.
            c, d_2: both, as
                :func:`pair` gives them.

        Raises:
            ValueError: never.
        """

    class Child(Base):
        """Another one,
        in two lines.

        Args:
            b: otherwise.
        """

    pair = dict.fromkeys(("c", "d_2"), "both, as pair gives them.")
    assert told_of_arguments(Child) == {"a": "the first, see Pair and b.", "b": "otherwise.", **pair}
    assert summary_of(Child) == "Another one, in two lines."
    Base.__doc__ = textwrap.dedent(Base.__doc__ or "")
    assert told_of_arguments(Base)["b"] == "the second: of two."
    Child.__doc__ = "Args:\n    b: otherwise."
    assert summary_of(Child) == ""
    Child.__doc__ = None
    assert summary_of(Child) == ""
    assert told_of_arguments(Child)["b"] == "the second: of two."
