"""Commands about networks: train, distill, evaluate, report, enhance, profile, patches."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from arrayse.cli.common import CONFIG_HELP, Arguments, OptionalArguments, app, console, is_silent, split_arguments


@app.command()
def train(arguments: Arguments) -> None:
    """Train a network on a dataset.

    `arrayse train teacher data=data/office out=runs/teacher 'mics=[0,1,2]'`

    Several processes: `torchrun --nproc-per-node 2 -m arrayse train …`. Started again, it goes on where it stopped.
    """
    _train("train", arguments)


@app.command()
def distill(
    arguments: OptionalArguments = None,
    methods: Annotated[bool, typer.Option("--list", help="List the distillation losses and their papers.")] = False,
) -> None:
    """Train a small student with the help of a trained teacher, or of several.

    `arrayse distill student lin_one_step teacher=runs/teacher data=data/office 'mics=[0,1]' out=runs/student`

    `distill.cache=FOLDER fit.draws=1` keeps the teacher's outputs on disk, for this student and the next.
    """
    if methods:
        _list_methods()
        return
    _train("distill", arguments or [])


@app.command()
def balance(
    arguments: Annotated[
        list[str],
        typer.Argument(help="Run folder of a student. " + CONFIG_HELP, metavar="RUN [CONFIG|KEY=VALUE]..."),
    ],
) -> None:
    """Tell which weights give distillation terms gradients as large as that of the supervised loss.

    `arrayse balance runs/student student dfkd_ft_jnf teacher=runs/teacher data=data/office`

    At the weights of RUN, a student that was trained without a teacher, over a few training batches. Start from these:
    the gradients of losses differ by factors of a thousand.
    """
    from arrayse.balance import balanced_weights
    from arrayse.config import ConfigError, read_config
    from arrayse.ui import count_bar

    names, overrides = split_arguments(arguments)
    runs = [name for name in names if Path(name).expanduser().is_dir()]
    if len(runs) != 1:
        raise ConfigError(f"balance: expected one run folder of a student, got {', '.join(runs) or 'none'}")
    values = read_config("distill", [*(name for name in names if name not in runs), *overrides, "out=unused"])
    with count_bar(console, "batches", transient=True) as progress:
        weights = balanced_weights(values, Path(runs[0]).expanduser(), progress)
    for name, weight in weights.items():
        console.print(f"distill.terms.{escape(name)}.weight={weight:g}")


@app.command()
def evaluate(
    arguments: Annotated[
        list[str], typer.Argument(help="Run folders. " + CONFIG_HELP, metavar="RUN... [CONFIG|KEY=VALUE]...")
    ],
) -> None:
    """Score runs on a dataset over SNR, all on the same scenes; print the table.

    `arrayse evaluate runs/teacher runs/student data=data/office 'snr_db=[-5,0,5]' out=runs/evaluation`
    """
    from arrayse.config import ConfigError, find_config, read_config
    from arrayse.report.table import print_table
    from arrayse.ui import count_bar
    from arrayse.verbs import run_evaluate

    names, overrides = split_arguments(arguments)
    folders = [Path(name).expanduser() for name in names if Path(name).expanduser().is_dir()]
    runs = {folder.resolve().name: folder for folder in folders}
    configs = [name for name in names if Path(name).expanduser() not in folders]
    for name in configs:
        try:
            find_config(name, "evaluate")
        except ConfigError as error:
            raise ConfigError(
                f"evaluate: expected a run folder or a config, got {name}: no such folder\n{error}"
            ) from None
    if not runs or len(runs) < len(folders):
        raise ConfigError(f"runs: expected run folders with different names, got {', '.join(names) or 'none'}")
    values = read_config("evaluate", [*configs, *overrides])
    with count_bar(console, "scenes") as progress:
        summary = run_evaluate(values, runs, progress)
    print_table(summary, console)
    console.print(f"evaluation: {escape(values['out'])}  (arrayse report {escape(values['out'])} makes a page of it)")


@app.command()
def enhance(
    run: Annotated[Path, typer.Argument(help="Run folder of a trained network.")],
    source: Annotated[
        Path,
        typer.Argument(
            help="Recording of any length: all channels of the array, or only those that the network hears."
        ),
    ],
    destination: Annotated[
        Path, typer.Argument(help="Where the enhanced speech goes (.wav or .flac, one channel, 16 bits).")
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="gain_db=-3 lowers the result by 3 dB.", metavar="[gain_db=DB]")
    ] = None,
) -> None:
    """Enhance a recording.

    `arrayse enhance runs/student in.wav out.wav`
    """
    from arrayse.config import read_config
    from arrayse.verbs import run_enhance

    run_enhance(run, source, destination, read_config("enhance", overrides or [])["gain_db"])
    console.print(f"enhanced: {escape(str(destination))}")


@app.command()
def report(
    arguments: Annotated[
        list[str],
        typer.Argument(help="Folders that evaluate wrote, and out=PAGE.html.", metavar="EVALUATION... [out=FILE]"),
    ],
) -> None:
    """Make one self-contained HTML page: table, curves over SNR, players with spectrograms.

    `arrayse report runs/evaluation out=report.html`
    """
    from arrayse.config import read_config
    from arrayse.report.build import build_report

    folders, overrides = split_arguments(arguments)
    if not folders:
        raise ValueError("evaluation: expected a folder that arrayse evaluate wrote, got none")
    out = Path(read_config("report", overrides)["out"] or Path(folders[0]) / "report.html")
    if out.suffix != ".html":
        raise ValueError(f"out: expected a name ending in .html, got {out}")
    page = build_report([Path(folder) for folder in folders], out)
    console.print(f"report: {escape(str(page))}")


@app.command()
def profile(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            help="Named configs, YAML files, run folders (none: all of configs/model); seconds=, repeats=, rtf=false, "
            "array=, out=FOLDER or FILE.md or FILE.csv; model.KEY=, mics= and the like change the networks of configs.",
            metavar="[NAME|RUN|KEY=VALUE]...",
        ),
    ] = None,
) -> None:
    """Tell what networks cost: parameters, multiply-accumulates, latency, real-time factor on one core.

    `arrayse profile tesch metzger model.freq_hidden=88 model.time_hidden=40 'mics=[0,1]'`

    Without names it is the table of all named networks, in a few minutes; `rtf=false` does not time them.
    """
    from arrayse.config import read_config
    from arrayse.profiling import run_profile, split_keys
    from arrayse.report.costs import print_costs
    from arrayse.ui import count_bar

    names, overrides = split_arguments(arguments or [])
    of_networks, others = split_keys(overrides)
    values = read_config("profile", others)
    with count_bar(console, "networks", transient=True) as progress:
        profiles, paths = run_profile(values, names, of_networks, progress)
    print_costs(profiles, values, console)
    for path in paths:
        console.print(f"table: {escape(str(path))}")


@app.command()
def patches(
    run: Annotated[Path, typer.Argument(help="Run folder of a student that was distilled with dispatch or dfkd.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="n=3 validation scenes, out=PAGE.html.", metavar="[n=N] [out=FILE]")
    ] = None,
) -> None:
    """Draw where a student learns from its teacher: selected patches of dispatch, crossover of dfkd.

    `arrayse patches runs/student n=5 out=patches.html`

    The first validation scenes, as training hears them, with the best weights of the run; data and teacher have to be
    where they were.
    """
    from arrayse.config import read_config
    from arrayse.patches import draw_patches
    from arrayse.ui import count_bar

    values = read_config("patches", overrides or [])
    out = Path(values["out"] or run / "patches.html")
    if out.suffix != ".html":
        raise ValueError(f"out: expected a name ending in .html, got {out}")
    with count_bar(console, "scenes", transient=True) as progress:
        page = draw_patches(run, values["n"], out, progress)
    console.print(f"patches: {escape(str(page))}")


def _list_methods() -> None:
    from arrayse.kd import METHODS

    table = Table.grid(padding=(0, 2))
    for name, method in METHODS.items():
        formulas = [f"{form}: {text}" if form else text for form, text in method.formulas.items()]
        about = f"[dim]taps {', '.join(method.taps)} · {method.paper}[/]"
        table.add_row(f"[bold]{name}[/]", "\n".join([*map(escape, formulas), about]))
    console.print(table)
    console.print("S student, T teacher. Options of each: arrayse keys distill.")


def _train(verb: str, arguments: list[str]) -> None:
    from arrayse.config import read_config
    from arrayse.ui import training_bars
    from arrayse.verbs import run_train

    values = read_config(verb, arguments)
    target = Console(quiet=True) if is_silent() else console
    with training_bars(target) as progress:
        run = run_train(values, progress, lambda text: target.print(escape(text)))
    target.print(f"run: {escape(str(run))}")
