"""Commands that train networks, and look into trainings: train, distill, balance, patches."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from arrayse.cli.common import Arguments, OptionalArguments, app, console, expanded, split_arguments
from arrayse.training.ranks import is_first_process


@app.command()
def train(arguments: Arguments) -> None:
    """Train a network on a dataset.

    `arrayse train teacher data=data/office out=runs/teacher`

    `arrayse train student data=data/office 'mics=[0,1]' out=runs/student epochs=5  # a short one`

    `arrayse train student model/dccrn_quarter data=data/office out=runs/dccrn      # another network`

    `arrayse train init=runs/student data=data/car out=runs/student_car    # its network and weights`

    Named configs: teacher, student (large and small, for a GPU), quickstart_teacher, quickstart_student; after one of
    them `model/…`, of which `arrayse profile rtf=false` shows all. The run folder gets the best weights, metrics.jsonl
    with every epoch, and the config. Started again, the same command goes on where it stopped. Several processes:
    `torchrun --nproc-per-node 2 -m arrayse train …`
    """
    _train("train", arguments)


@app.command()
def distill(
    arguments: OptionalArguments = None,
    methods: Annotated[bool, typer.Option("--list", help="List the distillation losses and their papers.")] = False,
) -> None:
    """Train a small student with the help of a trained teacher, or of several.

    `arrayse distill student lin_one_step teacher=runs/teacher data=data/office 'mics=[0,1]' out=runs/student_lin`

    `arrayse distill student model/dccrn_sixteenth dfkd_snr_one_step teacher=runs/dccrn data=data/office out=runs/small`

    A train config says what the student is, a distill config what it learns from the teacher: `--list` names the
    losses with their formulas, papers and configs. `distill.cache=FOLDER fit.draws=1` keeps the teacher's outputs on
    disk, for this student and the next. Started again, the same command goes on where it stopped.
    """
    if methods:
        _list_methods()
        return
    _train("distill", arguments or [])


@app.command()
def balance(
    arguments: Annotated[
        list[str],
        typer.Argument(
            help="Run folder of a student; a distill config, teacher=RUN, and what else is to be another than in the "
            "config of the run.",
            metavar="RUN|CONFIG|KEY=VALUE",
        ),
    ],
) -> None:
    """Tell which weights give distillation terms gradients as large as that of the supervised loss.

    `arrayse balance runs/student dfkd_one_step teacher=runs/teacher`

    At the weights of RUN, a student that was trained without a teacher, over a few training batches; network, data,
    microphones, settings and supervised loss are its own. Prints overrides for `arrayse distill`, and the weights of
    the config beside them. Start from these: the gradients of losses differ by factors of a thousand.
    """
    from arrayse.config import ConfigError
    from arrayse.ui import count_bar
    from arrayse.verbs.balance import balanced_weights, read_student
    from arrayse.verbs.common import is_run

    names, overrides = split_arguments(arguments)
    folders = [name for name in names if is_run(name)] or names[:1]
    if len(folders) != 1:
        raise ConfigError(f"balance: expected one run folder of a student, got {', '.join(folders) or 'none'}")
    run = Path(folders[0]).expanduser()
    values = read_student(run, [*(name for name in names if name not in folders), *overrides])
    with count_bar(console, "batches", transient=True) as progress:
        weights = balanced_weights(values, run, progress)
    for name, weight in weights.items():
        now = values["distill"]["terms"][name]["weight"]
        console.print(f"distill.terms.{escape(name)}.weight={weight:g}  (now {now:g})", highlight=False, soft_wrap=True)


@app.command()
def patches(
    run: Annotated[
        Path,
        typer.Argument(help="Run folder of a student that was distilled with dispatch or dfkd.", callback=expanded),
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="n=3 validation scenes, out=PAGE.html.", metavar="KEY=VALUE")
    ] = None,
) -> None:
    """Draw where a student learns from its teacher: selected patches of dispatch, crossover of dfkd.

    `arrayse patches runs/student n=5 out=patches.html`

    The first validation scenes, as training hears them, with the best weights of the run; data and teacher have to be
    where they were.
    """
    from arrayse.config import read_config
    from arrayse.ui import count_bar
    from arrayse.verbs.patches import draw_patches

    values = read_config("patches", overrides or [])
    out = Path(values["out"] or run / "patches.html")
    if out.suffix != ".html":
        raise ValueError(f"out: expected a name ending in .html, got {out}")
    with count_bar(console, "scenes", transient=True) as progress:
        page = draw_patches(run, values["n"], out, progress)
    console.print(f"patches: {escape(str(page))}")


def _list_methods() -> None:
    from arrayse.config.catalogue import catalogue
    from arrayse.kd.methods import SYMBOLS

    table = Table.grid(padding=(0, 2))
    for method in catalogue():
        about = f"[dim]taps {escape(method.taps)} · {escape(method.paper)}[/]"
        configs = f"[dim]configs {', '.join(method.configs)}[/]"
        table.add_row(f"[bold]{method.name}[/]", "\n".join([*map(escape, method.formulas), about, configs]))
    console.print(table)
    console.print("\nSymbols:")
    legend = Table.grid(padding=(0, 2))
    for symbol, meaning in SYMBOLS.items():
        legend.add_row(escape(symbol), escape(meaning))
    console.print(legend)
    console.print("\nOptions of each: arrayse keys distill")


def _train(verb: str, arguments: list[str]) -> None:
    from arrayse.config import read_config
    from arrayse.ui import training_bars
    from arrayse.verbs.common import teller
    from arrayse.verbs.initial import network_of
    from arrayse.verbs.nets import run_train

    values = read_config(verb, arguments, network=network_of(arguments))
    target = console if is_first_process() else Console(quiet=True)
    with training_bars(target) as progress:
        run = run_train(values, progress, teller(target))
    target.print(f"run: {escape(str(run))}")
