"""docs/quick-start.md and docs/migrations.md, followed as printed from an empty folder on."""

import json
import re
from pathlib import Path

import pytest
from conftest import MELON_SYNC
from copies import copied, run
from devices import PASSWORD
from phones_app import QUICK_START, block, compiled, phone, written
from servers import serving_copy

from config import ROOT

MIGRATIONS = (ROOT / "docs" / "migrations.md").read_text()
PERSON = f"'ada@example.com', '{PASSWORD}'"
MAKE = """
  await melon.register(PERSON)
  await database.write(async () => {
    const home = await database.get('projects').create((one) => { one.name = 'Home' })
    await database.get('tasks').create((one) => { one.title = 'Paint'; one.project.set(home) })
  })
  await melon.sync()
"""
TELL = """
  const tasks = await database.get('tasks').query().fetch()
  console.log(JSON.stringify(tasks.map(({ _raw }) => _raw)))
"""
SIGN_IN = "await melon.login(PERSON); await melon.sync();"
EDIT = """
  const [task] = await database.get('tasks').query().fetch()
  await database.write(() => task.update((one) => { CHANGE }))
  await melon.sync()
"""


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """This repository, and beside it an app's folder."""
    copy = copied(tmp_path / "melon-api")
    run(copy, "flask", "--app", "wsgi", "db", "upgrade")
    return copy


def tasks(app: Path, url: str, *script: str) -> list[dict[str, object]]:
    """The tasks that a new phone has in the end."""
    text = "".join((*script, TELL)).replace("PERSON", PERSON)
    found: list[dict[str, object]] = json.loads(phone(app, url, text).splitlines()[-1])
    return found


def test_the_first_hour(server: Path, tmp_path: Path, melon_sync: Path) -> None:
    """Two phones sync; then the server gets a column, and old and new phones go on."""
    app = tmp_path / "my-app"
    written(app, melon_sync)
    run(server, "bash", "-euc", block(QUICK_START, "print"))
    old = compiled(app, melon_sync, "old")
    with serving_copy(server) as served:
        phone(old, served.url, MAKE.replace("PERSON", PERSON))
        assert [task["title"] for task in tasks(old, served.url, SIGN_IN)] == ["Paint"]

    add_column(server / "app" / "models.py")
    run(server, "bash", "-euc", block(MIGRATIONS, "migrate"))
    new = compiled(app, melon_sync, "new")
    assert "version: 2" in (app / "src" / "model" / "schema.ts").read_text()
    with serving_copy(server) as served:
        due = EDIT.replace("CHANGE", "one.dueAt = new Date(86_400_000)")
        assert [t["due_at"] for t in tasks(new, served.url, SIGN_IN, due)] == [86_400_000]
        renamed = EDIT.replace("CHANGE", "one.title = 'Paint it'")
        assert [t.get("due_at") for t in tasks(old, served.url, SIGN_IN, renamed)] == [None]
        (task,) = tasks(new, served.url, SIGN_IN)
        assert (task["title"], task["due_at"]) == ("Paint it", 86_400_000)


def add_column(model: Path) -> None:
    """The page's line, at the end of the class; it needs one more name."""
    text = model.read_text().replace("import String,", "import BigInteger, String,")
    model.write_text(text + block(MIGRATIONS, "column"))


def test_the_package_is_called_as_it_is_packed() -> None:
    """What `npm pack` makes is installed and run in tests/client_package."""
    manifest = json.loads((MELON_SYNC / "package.json").read_text())
    (name,) = re.findall(r"client/(\S+)", block(QUICK_START, "install"))
    assert name == f"{manifest['name']}-{manifest['version']}.tgz"
