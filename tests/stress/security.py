"""Promises that tests of the normal suite hold: they are run, and named in the table."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

from tests.stress.common import Row

TESTS = {
    "no pickle, no eval, no archive, no shell in the source": (
        "test_imports.py::test_pickles_only_go_through_pipes_between_own_processes",
        "test_imports.py::test_no_file_is_unpickled_and_no_text_is_run",
        "test_stress_security.py::test_nothing_in_the_source_runs_or_unpacks_what_a_file_says",
        "test_stress_security.py::test_the_search_finds_what_it_looks_for",
    ),
    "a pickle in place of weights is refused, not run": ("test_checkpoint.py::test_a_pickle_is_refused_and_not_run",),
    "no config value imports, evaluates, reads the environment or a file": (
        "test_config.py::test_interpolations_are_refused",
        "test_config.py::test_yaml_tags_run_nothing",
        "test_stress_security.py::test_no_config_value_is_more_than_text",
    ),
    "paths of a manifest stay in the dataset, those of an evaluation in its folder": (
        "test_mixture.py::test_a_manifest_cannot_name_files_elsewhere",
        "test_report.py::test_what_is_missing_or_broken_is_named",
        "test_corpus.py::test_a_bad_row",
        "test_stress_security.py::test_a_line_of_a_manifest_cannot_vouch_for_a_file_elsewhere",
    ),
    "a local cluster listens on loopback only": ("test_cluster.py::test_a_local_cluster_listens_on_loopback_only",),
    "pages show every name as text": (
        "test_preview.py::test_only_the_page_script_may_run_and_names_stay_text",
        "test_preview.py::test_names_of_folders_and_speakers_stay_text",
        "test_report.py::test_names_stay_text_and_only_our_script_may_run",
        "test_report_whole.py::test_the_page_of_today_holds_all_parts_and_tables_to_take_along",
    ),
}
"""Tests of the normal suite by what they hold."""


def check(folder: Path) -> Iterator[Row]:
    """Runs them."""
    for promise, tests in TESTS.items():
        result = folder / "tests.xml"
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", f"--junit-xml={result}"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        names = [f"tests/{name}" for name in tests]
        subprocess.run([*command, *names], cwd=Path(__file__).parents[2], env=environment, capture_output=True)
        suite = next(ElementTree.parse(result).getroot().iter("testsuite"))
        n_tests, skipped, *failed = (int(suite.get(key, 0)) for key in ("tests", "skipped", "failures", "errors"))
        note = ", ".join(f"`{name}`" for name in tests) + (f"; {skipped} skipped" if skipped else "")
        yield Row("security", promise, n_tests - skipped, sum(failed), note)
