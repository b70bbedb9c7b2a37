"""Names that only phones can have: the schema tool writes and reads them, and both clients live
with them."""

import shutil
import sys
from pathlib import Path

import pytest
from conftest import DATABASES, install_packages
from copies import copied, run
from printed import HERE, compiled, flask, node

NAMED = HERE.parent / "own_tables" / "named_models.py"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of the project with these models and their migration."""
    install_packages(HERE)
    folder = copied(tmp_path_factory.mktemp("named") / "copy")
    (folder / "tests" / "schema" / "node_modules").symlink_to(HERE / "node_modules")
    models = folder / "app" / "models.py"
    models.write_text(models.read_text() + NAMED.read_text())
    run(folder, "flask", "--app", "wsgi", "db", "upgrade")
    run(folder, "flask", "--app", "wsgi", "db", "migrate", "-m", "Names")
    return folder


@pytest.fixture(scope="module")
def app(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The printed app, compiled."""
    folder = tmp_path_factory.mktemp("app")
    done = flask("schema", "--output", str(folder / "app"), cwd=copy)
    assert done.returncode == 0, done.stderr
    return compiled(folder, "app") / "app"


def test_what_is_printed_fits(copy: Path, app: Path, tmp_path: Path) -> None:
    """As it is read again; and as Babel compiles it."""
    sources = app.parent.parent / "app"
    checked = flask("check-schema", str(sources / "schema.ts"), cwd=copy)
    assert (checked.returncode, checked.stdout) == (0, "The app's schema fits the server's.\n")
    assert "transformed" in node("babel.js", APP=sources, OUT=tmp_path / "babel")


@pytest.mark.parametrize("database", DATABASES)
def test_phones_live_with_such_names(
    copy: Path, app: Path, melon_sync: Path, database: str
) -> None:
    environ = {"APP": str(app), "MELON_SYNC": str(melon_sync / "dist" / "esm" / "index.js")}
    environ |= {"TEST_APP": "app", "BACKEND": database}
    phones = [sys.executable, "-m", "pytest", "-p", "no:xdist", "tests/schema/named_phones.py"]
    run(copy, *phones, **environ)


def test_a_changed_phone_name_makes_a_version(copy: Path, tmp_path: Path) -> None:
    """The database knows nothing of it: its migration is how the tool knows both names."""
    changed = tmp_path / "changed"
    shutil.copytree(copy, changed, symlinks=True)
    models = changed / "app" / "models.py"
    text = models.read_text().replace('__phone_name__ = "sessions"', '__phone_name__ = "visits"')
    models.write_text(text.replace('phone_name("created_by")', 'phone_name("author")'))
    drift = flask("schema", cwd=changed).stderr
    assert "sessions is only in the migrations" in drift and "visits is only in the models" in drift
    run(changed, "flask", "--app", "wsgi", "db", "upgrade")
    run(changed, "flask", "--app", "wsgi", "db", "migrate", "-m", "Other names")
    (revision,) = (changed / "app" / "migrations" / "versions").glob("*_other_names.py")
    said = "phone_names = {\n    'people.author': 'author',\n    'visits': 'visits',\n}"
    assert said in revision.read_text()
    printed = flask("schema", cwd=changed)
    assert printed.returncode == 0, printed.stderr
    newest = printed.stdout.split("toVersion: 3")[1].partition("schemaMigrations")[0]
    assert "table: 'users'" in newest and "{ name: 'author', type: 'string' }" in newest
    assert "createTable" in newest and "name: 'visits'" in newest
