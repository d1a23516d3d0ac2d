"""Machine code on disk: used again, and never after a file that it was made from has changed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from simulate import compiled
from simulate.compiled import folder_hash
from simulate.compiled.deposit import deposit

INNER = "from loops import inlined\nNUMBER = {}\n@inlined\ndef inner():\n    return NUMBER\n"
OUTER = """from numba import int64
from loops import compiled
from loops.inner import inner
@compiled(int64())
def outer():
    return inner()
print(outer(), sum(outer.stats.cache_hits.values()))
"""


def test_a_change_in_any_file_of_the_folder_makes_the_machine_code_new(tmp_path: Path) -> None:
    folder = tmp_path / "loops"
    folder.mkdir()
    shutil.copy(Path(compiled.__file__), folder / "__init__.py")
    (folder / "outer.py").write_text(OUTER)
    said = []
    for number in (5, 5, 6):
        (folder / "inner.py").write_text(INNER.format(number))
        command = [sys.executable, "-c", "import loops.outer"]
        said.append(subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.split())
    assert said == [["5", "0"], ["5", "1"], ["6", "0"]]


def test_the_hash_knows_names_and_contents(tmp_path: Path) -> None:
    hashes = []
    for name, text in (("a.py", "1"), ("b.py", "1"), ("b.py", "2"), ("a.py", "1")):
        (tmp_path / name).write_text(text)
        hashes.append(folder_hash(tmp_path))
    assert len(set(hashes)) == 3
    assert hashes[2] == hashes[3]
    assert deposit.py_func.__qualname__ == f"deposit_{folder_hash(Path(compiled.__file__).parent)}"
