"""What the commands say of themselves: examples that would run, and names that there are."""

from __future__ import annotations

import re
import shlex

import pytest

from arrayse.cli import app
from arrayse.config import config_root, find_config, read_config
from tests.test_cli import arrayse

CALLBACKS = [command.callback for command in app.registered_commands if command.callback]
COMMANDS = {callback.__name__: callback.__doc__ or "" for callback in CALLBACKS}


def examples_of(verb: str) -> list[list[str]]:
    """The arguments of every example."""
    return [shlex.split(text, comments=True) for text in re.findall(rf"`arrayse {verb}( [^`]*)`", COMMANDS[verb])]


@pytest.mark.parametrize("verb", [*COMMANDS, "array show"])
def test_help_teaches(verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert arrayse(monkeypatch, *verb.split(), "--help") == 0
    assert len(capsys.readouterr().out) > 200


@pytest.mark.parametrize("verb", ["simulate", "train", "sweep"])
def test_named_configs_are_named(verb: str) -> None:
    words = set(re.findall(r"\w+", COMMANDS[verb]))
    assert {path.stem for path in (config_root() / verb).glob("*.yaml")} <= words


def test_named_arrays_are_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert arrayse(monkeypatch, "array", "show", "--help") == 0
    words = set(re.findall(r"\w+", capsys.readouterr().out))
    assert {path.stem for path in (config_root() / "array").glob("*.yaml")} <= words


@pytest.mark.parametrize("verb", sorted(COMMANDS.keys() - {"doctor", "quickstart"}))
def test_there_is_an_example_and_nothing_that_would_be_copied_with_it(verb: str) -> None:
    """Such as a colon behind it, where no colours tell what is code."""
    assert examples_of(verb)
    assert not re.search(r"`arrayse [^`]*`:", COMMANDS[verb])
    assert all(
        len(line) <= 98 for line in re.findall(r"`(arrayse [^`]*#[^`]*)`", COMMANDS[verb])
    )  # else it would break


@pytest.mark.parametrize("verb", ["simulate", "train", "distill", "evaluate", "sweep"])
def test_examples_can_be_read(verb: str) -> None:
    for arguments in examples_of(verb):
        runs = [each for each in arguments if each.startswith("runs/")]
        begins = any(each.startswith("init=") for each in arguments)  # with the network of a run
        network = {"model": {"name": "ft_jnf"}} if begins else None
        assert read_config(verb, [each for each in arguments if each not in runs], network=network)["out"]


def test_the_example_of_balance_names_a_config() -> None:
    ((_, config, *_),) = examples_of("balance")
    assert find_config(config, "distill").is_file()
