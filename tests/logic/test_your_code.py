"""docs/your-code.md is followed to the letter, in a copy of the project, on each database."""

import re
import sys
from pathlib import Path

import pytest
from conftest import DATABASES, environment, fresh_database
from copies import copied, run
from own_tables_page import add_tables, named_block

from config import ROOT

PAGE = "your-code.md"
ROUTES = ("routes", "copy", "payment", "job")
JOBS = ("jobs", "post", "back")
RULES = ("price", "paid", "numbers", "plan", "total")
FILES = ("app/rules.py", "app/routes.py", "app/jobs.py")
SQL = ("flask", "--app", "wsgi", "db")


def write_rules(copy: Path) -> None:
    models = copy / "app" / "models.py"
    models.write_text(f"{models.read_text()}\n\n{named_block(PAGE, 'models')}")
    blocks = [named_block(PAGE, name) for name in ("imports", *RULES)]
    (copy / "app" / "rules.py").write_text("\n\n".join(blocks))
    blocks = [named_block(PAGE, name) for name in ROUTES]
    (copy / "app" / "routes.py").write_text("\n\n".join(blocks))
    blocks = [named_block(PAGE, name) for name in JOBS]
    (copy / "app" / "jobs.py").write_text("\n\n".join(blocks))


def run_stories(copy: Path, database: str, file: str) -> None:
    """In the copy, whose tables get a migration first."""
    with fresh_database(database, copy.parent) as url:
        environ = environment(database, url, MELON_APP="app", TEST_APP="app")
        run(copy, *SQL, "upgrade", **environ)
        run(copy, *SQL, "migrate", "-m", "Tables of the page", **environ)
        stories = [f"tests/logic/{file}", "-p", "no:xdist", "-k", database]
        assert " passed" in run(copy, sys.executable, "-m", "pytest", *stories, **environ)


@pytest.mark.parametrize("database", DATABASES)
def test_the_rules_do_what_the_page_says(tmp_path: Path, database: str) -> None:
    """Contract push 10."""
    copy = copied(tmp_path / "copy")
    write_rules(copy)
    run_stories(copy, database, "your_code.py")


@pytest.mark.parametrize("database", DATABASES)
def test_a_rule_sees_what_goes_with_a_deletion_at_any_depth(tmp_path: Path, database: str) -> None:
    """Contract push 4 and 10."""
    copy = copied(tmp_path / "copy")
    add_tables(copy)
    models = copy / "app" / "models.py"
    clears = 'belongs_to("projects", on_delete="clear")'
    tag, _, rest = models.read_text().rpartition("class Comment")
    head, _, tag = tag.rpartition('belongs_to("projects")')
    models.write_text(f"{head}{clears}{tag}class Comment{rest}")
    run_stories(copy, database, "trees.py")


def test_the_rules_are_short_and_in_order(tmp_path: Path) -> None:
    """Each is under ten lines; lint and types take them."""
    copy = copied(tmp_path / "copy")
    write_rules(copy)
    for name in RULES:
        assert len(named_block(PAGE, name).splitlines()) < 10, name
    own_address = ("--extend-ignore", "S310")  # no stranger says where the bookkeeper is
    run(copy, sys.executable, "-m", "ruff", "check", "--no-cache", *own_address, *FILES)
    run(copy, sys.executable, "-m", "ruff", "format", "--check", "--no-cache", *FILES)
    run(copy, sys.executable, "-m", "mypy", *FILES)


def test_every_block_of_the_page_is_run() -> None:
    text = (ROOT / "docs" / PAGE).read_text()
    assert set(re.findall(r"^```python (\w+)", text, re.MULTILINE)) == {
        *("models", "imports"),
        *RULES,
        *ROUTES,
        *JOBS,
        "receiver",
    }
    assert re.findall(r"^```ts (\S+)", text, re.MULTILINE) == ["src/refusals.ts"]  # tests/guides
