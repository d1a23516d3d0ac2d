"""Tables in the terminal: columns that it is too narrow for continue below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


@dataclass(frozen=True)
class Block:
    """A table.

    Attributes:
        title: above the names.
        columns: headings of the cells.
        rows: a name and its cells each.
        dim: names of rows that stand back.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    dim: frozenset[str] = frozenset()

    def part(self, columns: slice) -> Block:
        """The same rows with some of the columns."""
        rows = [(name, cells[columns]) for name, cells in self.rows]
        return replace(self, columns=self.columns[columns], rows=rows)


NAME_WIDTH = 20
"""Letters that the column of names keeps where they need them; longer ones are folded."""


def fits(block: Block, console: Console) -> bool:
    """Whether a block is no wider than the terminal."""
    from rich.measure import Measurement

    unlimited = console.options.update(max_width=10_000)
    return Measurement.get(console, unlimited, _table(block)).maximum <= console.width


def print_block(block: Block, console: Console) -> None:
    """Prints a block, if it has rows, so many columns at a time as the terminal has room for."""
    n = len(block.columns)
    while n > 1 and not fits(block.part(slice(n)), console):
        n -= 1
    if block.rows:
        console.print(_table(block.part(slice(n))))
    if n < len(block.columns):
        print_block(block.part(slice(n, None)), console)


def print_notes(notes: Sequence[str], loud: str, console: Console) -> None:
    """Prints what stands below tables; the note that is ``loud`` does not stand back."""
    from rich.text import Text

    for note in notes:
        console.print(Text(note, style="bold" if note == loud else "dim"))


def _table(block: Block) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    longest = max((len(name) for name, _ in block.rows), default=1)
    table.add_column(Text(block.title), overflow="fold", min_width=min(longest, NAME_WIDTH))
    for column in block.columns:
        table.add_column(Text(column), justify="right", no_wrap=True)
    for name, cells in block.rows:
        table.add_row(Text(name), *cells, style="dim" if name in block.dim else "")
    return table
