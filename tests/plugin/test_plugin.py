"""docs/testing.md is followed to the letter, in a copy of the project, on each database."""

import re
import shutil
import sys
from pathlib import Path

import pytest
from conftest import DATABASES, SERVERS, want_servers
from copies import copied, run, with_scripts
from own_tables_page import named_block

from config import ROOT

PAGE = "testing.md"
RULES = ("imports", "price", "paid", "numbers")
ROUTES = ("routes", "copy", "job")
JOBS = ("jobs", "back")
TESTS = ("imports", "refuse", "partial", "phones", "lost", "call", "events", "job", "server")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """With the page's `conftest.py` in its app."""
    copy = copied(tmp_path / "copy")
    tests = copy / "app" / "tests"
    tests.mkdir()
    (tests / "__init__.py").touch()
    (tests / "conftest.py").write_text(named_block(PAGE, "conftest"))
    return copy


def run_tests(copy: Path, database: str) -> str:
    """What pytest says of its `app/tests`, without plugins of ours."""
    options = ["app/tests", "-p", "no:xdist", "-p", "no:cacheprovider"]
    if database != "sqlite":
        want_servers()
        options += ["--melon-database", SERVERS[database]]
    return run(copy, sys.executable, "-m", "pytest", *options)


@pytest.mark.parametrize("database", DATABASES)
def test_the_tests_of_the_page_pass(copy: Path, database: str) -> None:
    app, page = copy / "app", "your-code.md"
    models = app / "models.py"
    models.write_text(f"{models.read_text()}\n\n{named_block(page, 'models')}")
    for name, blocks in (("rules", RULES), ("routes", ROUTES), ("jobs", JOBS)):
        text = "\n\n".join(named_block(page, block) for block in blocks)
        (app / f"{name}.py").write_text(text)
    tests = app / "tests" / "test_page.py"
    tests.write_text("\n\n".join(named_block(PAGE, name) for name in TESTS))
    flask = ("flask", "--app", "wsgi", "db")
    run(copy, *flask, "upgrade")
    run(copy, *flask, "migrate", "-m", "Invoices")
    with_scripts(copy)
    command = named_block(PAGE, "tests" if database == "sqlite" else "mariadb")
    if database != "sqlite":
        want_servers()
        command = re.sub(r"mysql://\S+", SERVERS[database], command)
    assert f"{len(TESTS) - 1} passed" in run(copy, "bash", "-euc", command)
    run(copy, sys.executable, "-m", "ruff", "check", "--no-cache", str(tests))
    run(copy, sys.executable, "-m", "ruff", "format", "--check", "--no-cache", str(tests))


@pytest.mark.parametrize("database", DATABASES)
def test_a_phone_does_what_watermelondb_does(copy: Path, database: str) -> None:
    stories = ROOT / "tests" / "plugin" / "stories.py"
    shutil.copy(stories, copy / "app" / "tests" / "test_stories.py")
    told = run_tests(copy, database)
    assert f"{stories.read_text().count('def test_') + 1} passed" in told


LIMITED = """
import pytest
from app.models import Project
from melon_api.errors import RateLimited


@pytest.mark.parametrize("turn", [1, 2])
def test_limits_are_each_tests_own(phone, turn, app):
    ada, tablet = phone("ada"), phone("ada", "tablet")
    for _ in range(3):
        ada.pull()
    with pytest.raises(RateLimited):
        tablet.pull()
    assert app.test_cli_runner().invoke(args=["db", "check"]).exit_code == 0
"""


def test_limits_can_be_tested(copy: Path) -> None:
    tests = copy / "app" / "tests"
    settings = named_block(PAGE, "conftest").replace(
        "return {", 'return {"RATELIMIT_ENABLED": "true", "RATELIMIT_PULL_PER_ACCOUNT": "3/hour", '
    )
    (tests / "conftest.py").write_text(settings)
    (tests / "test_limits.py").write_text(LIMITED)
    assert "2 passed" in run_tests(copy, "sqlite")


def test_a_database_of_somebodys_is_not_taken(copy: Path) -> None:
    (copy / "app" / "tests" / "test_one.py").write_text("def test_one(app):\n    pass\n")
    command = ("-m", "pytest", "app/tests", "-p", "no:xdist", "--melon-database")
    with pytest.raises(AssertionError, match="name a server, not a database"):
        run(copy, sys.executable, *command, "mysql://melon:melon@127.0.0.1/shop")


def test_every_block_of_the_page_is_run() -> None:
    text = (ROOT / "docs" / PAGE).read_text()
    assert re.findall(r"^```python (\w+)", text, re.MULTILINE) == ["conftest", *TESTS]


def test_the_page_names_all_that_a_phone_can() -> None:
    text = (ROOT / "docs" / PAGE).read_text()
    for module in ("phone", "signed_in"):
        code = (ROOT / "melon_api" / "testing" / f"{module}.py").read_text()
        for name in re.findall(r"^    def ([a-z]\w*)", code, re.MULTILINE):
            assert f"`{name}" in text or f", `{name}" in text or name == "post", name
