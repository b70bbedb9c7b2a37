"""The app's own room: what may stand there works, what is wrong there is said, what is not there is
not missed (docs/app.md)."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import APP
from copies import copied, run
from devices import new_id
from flask import Flask
from own_tables_page import add_tables, block, named_block

import config
from environ import ConfigError
from melon_api import room
from melon_api.room import AppError
from melon_api.web import app_routes

FLASK = ("flask", "--app", "wsgi")
# A phone with tasks, in a process that has the copy's tables.
CALLS = """
import sys
sys.path.insert(0, "tests")
from devices import Account, created, project, task
from wsgi import app
ada, home = Account(app), project()
ada.first.push(projects=created(home), tasks=created(task(home["id"]), task(home["id"])))
print([one.first.call("GET", "/tasks/count").json for one in (ada, Account(app))])
refused = app.test_client().get("/api/v1/tasks/count")
print(refused.status_code, refused.json["code"])
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return copied(tmp_path / "copy")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An app without any module yet."""
    folder = tmp_path / f"room_{new_id()}"
    folder.mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_a_route_works_as_printed(copy: Path) -> None:
    """Below /api/v1, for who is signed in, with the account's own rows; errors are the API's."""
    (copy / "app" / "routes.py").write_text(named_block("app.md", "routes"))
    run(copy, *FLASK, "db", "upgrade")
    told = run(copy, sys.executable, "-c", CALLS, APP_ENV="testing")
    assert "[{'count': 2}, {'count': 0}]" in told.splitlines()
    assert "401 token_missing" in told.splitlines()


def test_a_blueprint_stands_below_the_apis_address(package: Path) -> None:
    (package / "routes.py").write_text(
        "from flask import Blueprint\nblueprint = Blueprint('x', __name__)\n"
        "blueprint.get('/hello')(lambda: 'here')\n"
    )
    app = Flask(__name__)
    app.config["MELON_APP"] = package.name
    app_routes.init_app(app)
    assert app.test_client().get("/api/v1/hello").text == "here"


def test_routes_without_a_blueprint_stop_the_start(package: Path) -> None:
    (package / "routes.py").write_text("blueprints = []\n")
    app = Flask(__name__)
    app.config["MELON_APP"] = package.name
    with pytest.raises(AppError, match=r"routes: `blueprint` must be a flask\.Blueprint"):
        app_routes.init_app(app)


def test_routes_by_the_name_of_melons_stop_the_start(plain_app: Flask, package: Path) -> None:
    (package / "routes.py").write_text(
        "from flask import Blueprint\nblueprint = Blueprint('users', __name__)\n"
    )
    plain_app.config["MELON_APP"] = package.name
    with pytest.raises(AppError, match="the name 'users' is Melon's; give your blueprint another"):
        app_routes.init_app(plain_app)


@pytest.mark.parametrize("name", ["models", "rules", "routes", "seed"])
def test_a_module_may_be_missing_and_what_fails_in_one_is_said(package: Path, name: str) -> None:
    """Also when what it imports is missing: that is not the same."""
    assert room.part(package.name, name) is None
    (package / f"{name}.py").write_text("import nowhere_to_be_found\n")
    with pytest.raises(AppError) as failed:
        room.part(package.name, name)
    missing = "ModuleNotFoundError: No module named 'nowhere_to_be_found'"
    assert str(failed.value) == f"{package / name}.py, line 1: {missing}"


LIBRARY = "from json import loads\n"
FAULTS = {
    "syntax": ("x = 1\ndef rule(:\n", "line 2: SyntaxError: invalid syntax"),
    "in_a_library": (f"{LIBRARY}\n\nloads('')\n", "line 4: JSONDecodeError: Expecting value"),
    "name": (f"{LIBRARY}\n\nlads('')\n", "line 4: NameError: name 'lads' is not defined"),
}


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("name", ["rules", "__init__", "helpers"])
def test_the_line_of_the_app_is_named(package: Path, name: str, kind: str) -> None:
    """Whichever of its modules fails, and however deep in a library."""
    text, said = FAULTS[kind]
    (package / "rules.py").write_text(f"import {package.name}.helpers\n")
    (package / f"{name}.py").write_text(text)
    with pytest.raises(AppError) as failed:
        room.part(package.name, "rules")
    assert str(failed.value).startswith(f"{package / name}.py, {said}")
    assert "\n" not in str(failed.value)


def test_what_a_seed_gets_wrong_is_said_by_its_place(copy: Path) -> None:
    run(copy, *FLASK, "db", "upgrade")
    (copy / "app" / "seed.py").write_text(
        "def pushes(records):\n    yield {'nothings': {'created': [{'id': 'a'}]}}\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", *FLASK, "seed"],
        cwd=copy,
        env={"PATH": "/usr/bin:/bin", "FLASK_SKIP_DOTENV": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "  changes.nothings: " in done.stderr


def test_a_process_has_the_tables_of_one_app(package: Path) -> None:
    with pytest.raises(RuntimeError, match=f"the tables of {APP} are here; {package.name} wants"):
        room.load(package.name)


@pytest.mark.parametrize("name", ["shop", "shop.server", "config", ".app", ""])
def test_a_package_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    """A module is none."""
    if not name:  # is the default
        assert config.load({"MELON_APP": name}, tmp_path).MELON_APP == "app"
        return
    with pytest.raises(ConfigError, match="MELON_APP: there is no package '"):
        config.load({"MELON_APP": name}, tmp_path)


def test_another_package_by_its_name(copy: Path) -> None:
    """With its models in a folder, each module of which is found."""
    (copy / "shop").mkdir()
    (copy / "app").rename(copy / "shop" / "server")
    models = copy / "shop" / "server" / "models"
    models.with_suffix(".py").rename(copy / "shop" / "all.py")
    models.mkdir()
    (models / "__init__.py").touch()
    (copy / "shop" / "all.py").rename(models / "work.py")
    shop = {"MELON_APP": "shop.server"}
    run(copy, *FLASK, "db", "upgrade", **shop)
    assert "5 projects and 100 tasks" in run(copy, *FLASK, "seed", **shop)
    (models / "tag.py").write_text(f"{block('imports')}\n\n{block('classes')}")
    run(copy, *FLASK, "db", "migrate", "-m", "Tags", **shop)
    assert list((copy / "shop" / "server" / "migrations" / "versions").glob("*_tags.py"))


PLAIN = '''

class Shop(db.Model):
    """No phone knows it."""

    __tablename__ = "shops"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40))
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
'''


def test_what_migrate_writes(copy: Path) -> None:
    """The app's tables, synced or not, into the app's room; nothing of Melon's, which differ here;
    and lint takes the result."""
    failed = subprocess.run(
        [*FLASK, "db", "migrate", "-m", "Too early"],
        cwd=copy,
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "FLASK_SKIP_DOTENV": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert failed.returncode == 1
    assert "first run: flask db upgrade" in failed.stderr + failed.stdout
    assert "Traceback" not in failed.stderr

    run(copy, *FLASK, "db", "upgrade")
    add_tables(copy)
    models = copy / "app" / "models.py"
    text = models.read_text().replace("Double, String", "Double, ForeignKey, String")
    text = text.replace(
        "Catalogue, JsonText, Shareable,", "JsonText,"
    )  # of the tables here none is
    models.write_text(text + PLAIN)
    session = copy / "melon_api" / "models" / "session.py"
    session.write_text(session.read_text() + "    nick: Mapped[str | None]\n")
    run(copy, *FLASK, "db", "migrate", "-m", "Shops")
    (written,) = (copy / "app" / "migrations" / "versions").glob("*_shops.py")
    made = written.read_text()
    assert all(f"op.create_table('{name}'" in made for name in ("tags", "comments", "shops"))
    assert "sessions" not in made and "nick" not in made
    run(copy, *FLASK, "db", "upgrade")
    run(copy, *FLASK, "db", "check")
    ruff = [sys.executable, "-m", "ruff"]
    run(copy, *ruff, "check", "--no-cache", "--ignore", "S311", "app")
    run(copy, *ruff, "format", "--check", "--no-cache", "app")

    run(copy, *FLASK, "db", "migrate", "-m", "Nicks", "--rev-id", "9003", "-x", "branch=melon")
    made = (copy / "migrations" / "versions" / "9003_nicks.py").read_text()
    assert "nick" in made and "shops" not in made
    run(copy, *FLASK, "db", "upgrade")
    run(copy, *FLASK, "db", "downgrade")
    run(copy, *FLASK, "db", "revision", "-m", "By hand")
    assert list((copy / "app" / "migrations" / "versions").glob("*_by_hand.py"))
