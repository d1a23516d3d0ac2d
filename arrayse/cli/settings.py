"""Commands about what verbs can be told: keys, config."""

from __future__ import annotations

import textwrap
from typing import Annotated

import typer
from rich.markup import escape

from arrayse.cli.common import CONFIG_HELP, app, console

LONGEST_KEY = 44
"""Characters of a key and its default in front of what it may be; longer ones stand out."""

INDENT = "    "
"""In front of what a key means."""

VERBS = ("simulate", "train", "distill", "evaluate", "sweep", "profile", "export", "stream", "stream live")
"""Those with more than a few keys."""


@app.command()
def keys(
    verb: Annotated[list[str], typer.Argument(help=f"{', '.join(VERBS)}, …")],
) -> None:
    """List every key that a verb can be told: its default, what it may be, what it means.

    `arrayse keys train`

    A key is told as it stands here: `fit.batch_size=8`; `…` has to be told. What holds spaces or brackets wants quotes
    in a shell: `'mics=[0,1]'`. Arguments of a network or a loss follow the line that chooses it. The defaults are those
    of the library; `arrayse config train teacher` shows what a named config makes of them.
    """
    from arrayse.config.keys import list_keys
    from arrayse.schema import SCHEMAS

    keys = list_keys(SCHEMAS[_schema_of(" ".join(verb))])
    width, section = min(max(len(f"{key.key}={key.default}") for key in keys), LONGEST_KEY), ""
    for key in keys:
        before, section = section, key.key.rpartition(".")[0]
        if key.chooses or section != before:
            console.print()
        told, kind = f"{key.key}={key.default}", f"  [dim]{escape(key.kind)}[/]" if key.kind else ""
        told = told.ljust(width) if kind else told
        console.print(f"[bold]{escape(told)}[/]{kind}", highlight=False, soft_wrap=True)
        meaning = textwrap.fill(key.meaning, console.width, initial_indent=INDENT, subsequent_indent=INDENT)
        console.print(meaning, markup=False, highlight=False, soft_wrap=True, end="\n" if meaning else "")


@app.command()
def config(
    verb: Annotated[str, typer.Argument(help="simulate, train, distill, evaluate, sweep, …")],
    arguments: Annotated[list[str] | None, typer.Argument(help=CONFIG_HELP, metavar="CONFIG|KEY=VALUE")] = None,
) -> None:
    """Print the configuration that a verb would go by, named configs and overrides resolved; nothing is run.

    `arrayse config train student model/dccrn_quarter fit.batch_size=2`

    `arrayse config simulate office real_device > mine.yaml   # to be changed, and given to simulate`

    It is YAML, as it comes to lie in the folder of a run. `…` stands for what every call has to be told; `null` for
    what the verb finds itself, or can do without, as `arrayse keys VERB` says.
    """
    from arrayse.config import read_config, to_yaml
    from arrayse.schema.base import NEEDED
    from arrayse.verbs.initial import network_of

    told = arguments or []
    if told and f"{verb} {told[0]}" in _names():
        verb, told = f"{verb} {told[0]}", told[1:]
    typer.echo(to_yaml(read_config(_schema_of(verb), told, untold=NEEDED, network=network_of(told))), nl=False)


def _names() -> dict[str, str]:
    """Schemas by their verbs as people write them."""
    from arrayse.schema import SCHEMAS

    return {name.replace("_", " "): name for name in SCHEMAS}


def _schema_of(verb: str) -> str:
    """The name of the schema of a verb as people write it.

    Raises:
        ValueError: no such verb, or one that takes no keys.
    """
    from arrayse.schema.likely import did_you_mean, nearest

    names = _names()
    if verb not in names:
        hint = did_you_mean(nearest(verb, names))
        raise ValueError(f"verb: expected one of {', '.join(names)}, got {verb}{hint}")
    return names[verb]
