"""Nothing half-written: files, folders and JSON lines, also when the writer is killed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrayse.files import (
    alone_in,
    append_json_lines,
    check_free_space,
    read_json,
    read_json_lines,
    remove_leftovers,
    sha256_of,
    whole_folder,
    write_first,
    write_json,
    write_json_lines,
    write_text,
    write_whole,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def run(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs Python code that ends as it will."""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})


# --- files --------------------------------------------------------------------------------------------------


def test_a_file_is_whole_or_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    write_text(path, "old é")

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_whole(path, fail)
    assert path.read_bytes() == "old é".encode()
    assert names(path.parent) == ["a.txt"]
    write_text(path, "new")
    assert path.read_text() == "new"
    assert names(path.parent) == ["a.txt"]


def test_a_killed_writer_leaves_the_old_file_and_a_leftover_that_goes(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    code = (
        "import os, sys, pathlib; from arrayse.files import write_whole\n"
        "write_whole(pathlib.Path(sys.argv[1]), lambda p: (p.write_text('half'), os.kill(os.getpid(), 9)))"
    )
    assert run(code, str(path)).returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    assert len(names(tmp_path)) == 2
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["a.txt"]


def test_json_refuses_nan_and_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"x": [1, 0.1, None, "é"]})
    assert read_json(path, "numbers") == {"x": [1, 0.1, None, "é"]}
    for write in (write_json, write_json_lines, append_json_lines):
        with pytest.raises(ValueError, match="JSON compliant"):
            write(path, [1, float("nan")])
    assert read_json(path, "numbers") == {"x": [1, 0.1, None, "é"]}


def test_json_is_utf8_whatever_the_locale(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('"é"', encoding="utf-8")
    code = (
        "import sys, pathlib; from arrayse.files import read_json\n"
        "assert read_json(pathlib.Path(sys.argv[1]), 'x') == chr(233)"
    )
    result = run(code, str(tmp_path / "a.json"), LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert result.returncode == 0, result.stderr


def test_reading_json_names_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"run: expected a file .*a\.json, got none"):
        read_json(tmp_path / "a.json", "run")
    for content in (b"{", b"\xff\xfe"):
        (tmp_path / "a.json").write_bytes(content)
        with pytest.raises(ValueError, match=r"run: expected JSON in .*a\.json, got"):
            read_json(tmp_path / "a.json", "run")


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(range(256)) * 5000)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(bytes(range(256)) * 5000).hexdigest()


# --- JSON lines ---------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(
    rows=st.lists(st.dictionaries(st.text(), st.integers() | st.text() | st.none()), max_size=5),
    cut=st.integers(0, 300),
)
def test_a_file_cut_anywhere_gives_its_whole_lines_and_takes_more(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]], cut: int
) -> None:
    path = tmp_path_factory.mktemp("lines") / "a.jsonl"
    write_json_lines(path, rows)
    content = path.read_bytes()[:cut]
    path.write_bytes(content)
    kept = rows[: content.count(b"\n")]
    assert list(read_json_lines(path)) == kept
    append_json_lines(path, [{"more": 1}, 2])
    assert list(read_json_lines(path)) == [*kept, {"more": 1}, 2]
    assert path.read_bytes().count(b"\n") == len(kept) + 2


def test_append_makes_the_file(tmp_path: Path) -> None:
    append_json_lines(tmp_path / "deep" / "a.jsonl", [[1]])
    assert (tmp_path / "deep" / "a.jsonl").read_text() == "[1]\n"


def test_a_broken_whole_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n{"a":\n{"a": 3}\n')
    rows = read_json_lines(path)
    assert next(rows) == {"a": 1}
    with pytest.raises(ValueError, match=r"a\.jsonl line 2: expected JSON"):
        next(rows)
    with pytest.raises(ValueError, match=r"b\.jsonl: expected a file of JSON lines, got none"):
        next(read_json_lines(tmp_path / "b.jsonl"))


# --- folders ------------------------------------------------------------------------------------------------


def test_a_folder_appears_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "shard"
    with whole_folder(target) as temporary:
        (temporary / "sub").mkdir()
        (temporary / "sub" / "a").write_text("a")
        assert not target.exists()
    assert (target / "sub" / "a").read_text() == "a"
    assert names(target.parent) == ["shard"]


def test_a_folder_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "a").write_text("half")
        raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"), whole_folder(tmp_path / "shard") as temporary:
        fail(temporary)
    assert names(tmp_path) == []


def test_the_first_of_two_writers_stays(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "shard") as slow:
        (slow / "a").write_text("slow")
        with whole_folder(tmp_path / "shard") as fast:
            (fast / "a").write_text("fast")
    assert (tmp_path / "shard" / "a").read_text() == "fast"
    assert names(tmp_path) == ["shard"]


def test_a_file_in_the_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "shard").write_text("mine")
    with pytest.raises(NotADirectoryError), whole_folder(tmp_path / "shard") as temporary:
        (temporary / "a").write_text("a")
    assert (tmp_path / "shard").read_text() == "mine"
    assert names(tmp_path) == ["shard"]


def test_only_our_own_leftovers_are_removed(tmp_path: Path) -> None:
    kept = [".git.tmp", ".a.0123.tmp", "shard-00000", "a." + 32 * "0" + ".tmp"]
    for name in kept:
        (tmp_path / name).mkdir()
    leftover = tmp_path / f".shard-00001.{32 * '0'}.tmp"
    leftover.mkdir()
    (leftover / "a.wav").write_text("half")
    remove_leftovers(tmp_path)
    assert names(tmp_path) == sorted(kept)


def test_a_writer_whose_folder_was_removed_puts_nothing_in_place(tmp_path: Path) -> None:
    """Two commands in one folder: the second takes the work of the first for a leftover."""
    with pytest.raises(FileNotFoundError), whole_folder(tmp_path / "shard"):
        remove_leftovers(tmp_path)
    assert names(tmp_path) == []


# --- disk ---------------------------------------------------------------------------------------------------


def test_a_disk_that_is_too_small_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def disk_usage(path: Path) -> SimpleNamespace:
        asked.append(path)
        return SimpleNamespace(free=2_000_000_000)

    monkeypatch.setattr(shutil, "disk_usage", disk_usage)
    check_free_space(tmp_path, 2_000_000_000)
    with pytest.raises(ValueError, match=r"b: expected 3\.00 GB free on the disk, got 2\.00 GB"):
        check_free_space(tmp_path / "a" / "b", 3_000_000_000)
    assert asked == [tmp_path, tmp_path]  # the folder itself need not be there yet


def test_json_lines_hold_one_document_a_line(tmp_path: Path) -> None:
    write_json_lines(tmp_path / "a.jsonl", [{"text": "two\nlines"}, 2])
    assert [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()] == [
        {"text": "two\nlines"},
        2,
    ]


def test_only_the_first_writes(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "claim"
    assert write_first(path, "mine")
    assert not write_first(path, "yours")
    assert path.read_text() == "mine"
    assert [there.name for there in path.parent.iterdir()] == ["claim"]


# --- one process in a folder --------------------------------------------------------------------------------


HOLDER = """
import os, sys, time
from pathlib import Path
from arrayse.files import alone_in

with alone_in(Path(sys.argv[1])):
    if not os.fork():
        print(os.getpid(), flush=True)
    time.sleep(60)
"""


def test_a_folder_is_of_one_process_until_that_ends(tmp_path: Path) -> None:
    """A fork of it, such as one that loads data, does not keep the folder."""
    folder = tmp_path / "new" / "out"
    with subprocess.Popen([sys.executable, "-c", HOLDER, folder], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        with pytest.raises(ValueError, match=f"out: expected a folder that no other .* writes into, got {folder}$"):
            alone_in(folder).__enter__()
        holder.kill()
    with alone_in(folder):
        assert names(folder) == []
        with pytest.raises(ValueError, match="no other process writes into"), alone_in(folder):
            pass
    os.kill(child, signal.SIGKILL)
    with alone_in(folder):
        pass


def test_a_file_is_no_folder_to_be_alone_in(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match="file: expected a folder, got a file"), alone_in(tmp_path / "file"):
        pass


def test_without_locks_nothing_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.EBADF, "a network file system")

    with monkeypatch.context() as patch:
        patch.setattr("fcntl.flock", flock)
        with alone_in(tmp_path), alone_in(tmp_path):
            pass
    monkeypatch.setitem(sys.modules, "fcntl", None)  # an import fails
    with alone_in(tmp_path), alone_in(tmp_path):
        pass
