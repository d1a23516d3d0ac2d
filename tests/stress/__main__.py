"""``python -m tests.stress``: tries every promise as often as the table says, and writes the table.

With ``--share 0.02`` it is a quick look. Some want root: a full disk is a small tmpfs. It takes one or two hours on
two cores.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from arrayse.files import write_text
from tests.stress import audio, configs, disk, files, kill, load, nonfinite
from tests.stress.common import Row, World, make_world

HEAD = """# Promises under fault, load and attack

```
OMP_NUM_THREADS=1 python -m tests.stress{options}
```

Seed 0 throughout, synthetic scenes of half a second, tiny networks. *Broken* counts what did not hold.

| promise | tried on | times | broken | |
| --- | --- | ---: | ---: | --- |
"""


def pieces(world: World, folder: Path, share: float) -> dict[str, Callable[[], Iterator[Row]]]:
    """What can be tried, by name."""

    def often(times: int) -> int:
        return max(1, round(share * times))

    return {
        "kill": lambda: kill.check(world, often(50), folder / "kill"),
        "disk": lambda: disk.check(world, often(10), folder / "disk"),
        "nonfinite": lambda: nonfinite.check(world, often(50), folder / "nonfinite"),
        "audio": lambda: audio.check(world, often(2000), folder / "audio"),
        "configs": lambda: configs.check(world, often(5000), folder / "configs"),
        "files": lambda: files.check(world, often(200), folder / "files"),
        "load": lambda: load.check(world, often(100_000) // 20 * 20, often(180), folder / "load"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", help="some of kill, disk, nonfinite, audio, configs, files, load")
    parser.add_argument("--share", type=float, default=1.0, help="of the number of times")
    parser.add_argument("--out", type=Path, help="table (Markdown)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as place:
        every = pieces(make_world(Path(place) / "world"), Path(place), options.share)
        for name in options.only or every:
            for row in every[name]():
                rows.append(f"| {row.promise} | {row.what} | {row.tried:,} | {row.broken} | {escaped(row.note)} |")
                print(rows[-1], flush=True)
    if options.out:
        said = "" if options.share == 1 else f" --share {options.share:g}"
        write_text(options.out, HEAD.format(options=said) + "\n".join(rows) + "\n")


def escaped(text: str) -> str:
    """A cell of a Markdown table."""
    return " ".join(text.replace("|", "/").split())


if __name__ == "__main__":
    os.environ.setdefault("COLUMNS", "200")
    main()
