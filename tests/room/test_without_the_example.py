"""The example goes with one command; seed, demo and start do without it (docs/app.md)."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import NO_ENV_FILE, environment, fresh_database
from copies import copied, run, with_scripts
from own_tables_page import named_block

FLASK = ("flask", "--app", "wsgi")
# The example's migrations have these names where it is cloned.
NAMES = {
    "example_0001": "app_0001_projects_and_tasks.py",
    "example_0002": "app_0002_sharing.py",
}
# What a phone and a browser get from a server without a table.
ASK = """
import sys
import time
sys.path.insert(0, "tests")
from devices import Account
from wsgi import app
phone = Account(app).first
print("pulled", phone.ask_pull(None).json["changes"])
print("paged", phone.ask_pull(None, limit=5).json["changes"])
print("again", phone.ask_pull(int(time.time()) * 1000).json["changes"])
print("pushed", phone.ask_push({}).status_code)
held = {"tables": {}, "lastPulledAt": 1}
print("verified", phone.call("POST", "/sync/verify", json=held).status_code)
print("exported", phone.call("GET", "/users/me/export").status_code)
for page in ("/demo/", "/", "/docs/", "/openapi.json"):
    print(page, app.test_client().get(page).status_code)
print("demo" if "/demo/" in app.test_client().get("/").text else "no demo")
"""
ANSWERS = {"pulled {}", "paged {}", "again {}", "pushed 200", "verified 200", "exported 200"}
PAGES = {"/demo/ 404", "/ 200", "/docs/ 200", "/openapi.json 200", "no demo"}
# What stands in its other files knows its tables.
CODE = {
    "rules.py": "from app.models import Task\n",
    "routes.py": "from flask import Blueprint\n\nfrom app.models import Task\n\n"
    "blueprint = Blueprint('tasks', __name__)\n",
}
OWN = '''"""The app's tables."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from melon_api.models import Synced, db


class Recipe(Synced, db.Model):
    __tablename__ = "recipes"

    title: Mapped[str] = mapped_column(String(255))
'''


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """As it is cloned: the example's migration has the name that it has there."""
    clone = with_scripts(copied(tmp_path / "clone"))
    versions = clone / "app" / "migrations" / "versions"
    for path in versions.glob("example_*.py"):
        path.rename(versions / NAMES[path.name[:12]])
    for path in versions.glob("app_*.py"):
        path.write_text(path.read_text().replace("example_0", "app_0"))
    for name, text in CODE.items():
        (clone / "app" / name).write_text(text)
    return clone


def remove(clone: Path, *options: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    given = NO_ENV_FILE | {"PATH": path, "INSTANCE_PATH": str(clone / "instance")}
    return subprocess.run(
        ["bash", "-euc", " ".join([named_block("app.md", "remove").strip(), *options])],
        cwd=clone,
        env=given | environ,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_example_goes_and_ones_own_comes(clone: Path) -> None:
    """From a database that has been used; the phones' first version is one's own table."""
    run(clone, *FLASK, "db", "upgrade")
    run(clone, *FLASK, "seed")
    done = remove(clone)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [path.name for path in (clone / "app").rglob("*.py")] == ["__init__.py"]

    assert "without records: app/seed.py has none" in run(clone, *FLASK, "seed")
    told = run(clone, sys.executable, "-c", ASK).splitlines()
    assert {*told} >= ANSWERS | PAGES

    (clone / "app" / "models.py").write_text(OWN)
    run(clone, *FLASK, "db", "migrate", "-m", "Recipes")
    (written,) = (clone / "app" / "migrations" / "versions").glob("*.py")
    assert 'branch_labels = ("app",)' in written.read_text().replace("'", '"')
    assert "depends_on" in written.read_text() and "projects" not in written.read_text()
    run(clone, *FLASK, "db", "upgrade")
    schema = run(clone, *FLASK, "sync", "schema")
    assert "version: 1," in schema and "recipes" in schema
    run(clone, *FLASK, "db", "downgrade", "base")
    run(clone, *FLASK, "db", "upgrade")


def test_a_server_may_be_without_a_table(clone: Path, tmp_path: Path) -> None:
    """On MySQL, which writes a pull's text itself."""
    for name in ("models.py", *CODE):
        (clone / "app" / name).unlink()
    for name in NAMES.values():
        (clone / "app" / "migrations" / "versions" / name).unlink()
    with fresh_database("mysql", tmp_path) as url:
        environ = environment("mysql", url, MELON_APP="app")
        run(clone, *FLASK, "db", "upgrade", **environ)
        told = run(clone, sys.executable, "-c", ASK, **environ)
    assert {*told.splitlines()} >= ANSWERS


def test_it_is_no_command_for_a_server_of_people(clone: Path) -> None:
    done = remove(clone, APP_ENV="production")
    assert done.returncode == 1 and "APP_ENV is production" in done.stderr
    assert (clone / "app" / "models.py").exists()


def test_records_of_others_go_only_when_that_is_said(clone: Path) -> None:
    """Development's database may be somebody's all the same."""
    run(clone, *FLASK, "db", "upgrade")
    run(clone, *FLASK, "seed", "--email", "ada@example.com", "--records", "3")
    done = remove(clone)
    assert done.returncode == 1 and "has 5 records that are not the demo account's" in done.stderr
    assert (clone / "app" / "models.py").exists()
    assert remove(clone, "--with-records").returncode == 0
    assert not (clone / "app" / "models.py").exists()


def test_it_is_too_late_after_a_migration_of_ones_own(clone: Path) -> None:
    (clone / "app" / "migrations" / "versions" / "zz.py").write_text("# mine\n")
    done = remove(clone)
    assert done.returncode == 1 and "other migrations than the example's" in done.stderr
    assert (clone / "app" / "models.py").exists()
