"""docs/own-tables.md on the app's side: the next version, printed, and phones that come along."""

import shutil
import sys
from pathlib import Path

import pytest
from conftest import install_packages
from copies import copied, run
from own_tables_page import add_tables, block
from printed import HERE, compiled, flask, printed


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout of the project with the page's models, and no migration of them yet."""
    install_packages(HERE)
    folder = copied(tmp_path / "copy")
    (folder / "tests" / "schema" / "node_modules").symlink_to(HERE / "node_modules")
    add_tables(folder)
    return folder


def test_a_new_table_is_a_new_version_that_phones_migrate_to(copy: Path, tmp_path: Path) -> None:
    printed(tmp_path, "--output", str(tmp_path / "old"))
    run(copy, "flask", "--app", "wsgi", "db", "upgrade")
    run(copy, "bash", "-euc", block("migrate"))
    young = flask("schema", "--output", str(tmp_path / "new"), cwd=copy)
    assert young.returncode == 0, young.stderr
    text = flask("schema", cwd=copy)
    assert text.returncode == 0, text.stderr
    (tmp_path / "one.ts").write_text(text.stdout)
    shutil.copy(HERE / "grown.ts", tmp_path)
    out = compiled(tmp_path, "grown.ts", "old", "new", "one.ts")
    scenario = [sys.executable, "-m", "pytest", "-p", "no:xdist", "tests/schema/updated_phone.py"]
    run(copy, *scenario, TEST_APP="app", OLD=str(out / "old"), NEW=str(out / "new"))

    checked = flask("check-schema", str(tmp_path / "old" / "schema.ts"), cwd=copy)
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.splitlines()[:2] == [
        "warning: comments: the app has no such table; its records stay away",
        "warning: tags: the app has no such table; its records stay away",
    ]
