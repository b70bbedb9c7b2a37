"""The house stays in order: imports point one way, each room keeps the rule that it says."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from tools.shape import measure

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "melon_api"
# A room imports from those before it, never from those behind; what stands in one line is free.
FLOORS = [
    ["environ"],
    ["server.settings"],
    [
        *("melon_api.errors", "melon_api.refusals", "melon_api.measures"),
        *("melon_api.sockets", "melon_api.threads"),
    ],
    ["melon_api.models", "melon_api.room"],
    ["melon_api.storage", "melon_api.bulkheads", "melon_api.audit", "melon_api.mail"],
    ["melon_api.sentences"],
    ["melon_api.auth", "melon_api.sync", "melon_api.events", "melon_api.web", "melon_api.ops"],
    ["melon_api.passwordless", "melon_api.spaces"],
    ["melon_api.users", "melon_api.history", "melon_api.seed"],
    ["melon_api.core", "melon_api.live.settings"],
    ["config"],
    ["melon_api"],
    ["server", "melon_api.live"],
]
HTTP = {"flask.request", "flask.g", "flask.Response", "flask.jsonify"}
KNOW_HTTP = ("routes", "guard", "idle", "calls")  # beside `web` and `ops`
# What nobody imports but the module that is its door (and, of a storage, the factory).
DOORS = {
    "melon_api.storage.memory.near_cache": {"melon_api.storage.memory.redis_entries"},
    "melon_api.storage.memory.redis_entries": {"melon_api.storage.redis_cache"},
    "melon_api.storage.redis_cache": {"melon_api.core"},
    "melon_api.storage.call_counts": {"melon_api.web.limiter", "melon_api.web.limits"},
    "melon_api.web.limiter": {"melon_api.web.limits"},
    "melon_api.history.run": {"melon_api"},
    "melon_api.history.table": {"melon_api.history.store", "melon_api.users.deletion"},
    "melon_api.events.webhooks.transport": {"melon_api.events.webhooks.webhook"},
}
SHAPE = measure(ROOT)
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imports(path: Path) -> set[str]:
    return {name for node in ast.walk(ast.parse(path.read_text())) for name in imported(node)}


def imported(node: ast.AST) -> set[str]:
    if isinstance(node, ast.ImportFrom) and node.module:
        return {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()


def run_time(tree: ast.AST) -> Iterator[ast.AST]:
    """All but what a type checker alone reads."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node
            yield from run_time(node)


def floor(module: str) -> int:
    """The most precise room that a module is in."""
    rooms = [
        (len(room), height)
        for height, rooms in enumerate(FLOORS)
        for room in rooms
        if module == room or module.startswith(f"{room}.")
    ]
    return max(rooms)[1]


@pytest.mark.parametrize("module", [name for name in SHAPE.imports if name != "wsgi"])
def test_imports_point_down(module: str) -> None:
    assert not {name for name in SHAPE.imports[module] if floor(name) > floor(module)}


@pytest.mark.parametrize("room", DOORS)
def test_a_room_has_one_door(room: str) -> None:
    assert {name for name, imports in SHAPE.imports.items() if room in imports} == DOORS[room]


def test_no_server_imports_what_tests_are_made_with() -> None:
    """pytest is not needed to serve."""
    inside, tests = "melon_api.testing", {"pytest", "_pytest"}
    for name, needed in SHAPE.imports.items():
        assert name.startswith(inside) or not {m for m in needed if m.startswith(inside)}, name
    users = {path for path in MODULES if tests & {m.partition(".")[0] for m in imports(path)}}
    assert users == {PACKAGE / "testing" / "__init__.py"}


def test_the_engine_knows_one_door_to_events() -> None:
    """For the app's own code in `melon_api/logic/` it is the same."""
    rooms = ("melon_api.sync", "melon_api.logic", "melon_api.auth", "melon_api.web")
    found = {
        (name, imported)
        for name, imports in SHAPE.imports.items()
        for imported in imports
        if name.startswith(rooms) and imported.startswith("melon_api.events")
    }
    assert found == {("melon_api.sync.commit.writing", "melon_api.events.outbox")}


def test_no_web_process_imports_what_streams() -> None:
    """Starlette and uvicorn are the live process's alone."""
    inside = ("melon_api.live", "config")
    for name, needed in SHAPE.imports.items():
        assert name.startswith(inside) or not {m for m in needed if "melon_api.live" in m}, name
    users = {
        path.parent.name
        for path in MODULES
        if {"starlette", "uvicorn", "h11"} & {m.partition(".")[0] for m in imports(path)}
    }
    assert users == {"live"}


@pytest.mark.parametrize("module", [m for m in SHAPE.imports if m.startswith("melon_api.auth")])
def test_auth_knows_nothing_of_synced_records(module: str) -> None:
    assert not {name for name in SHAPE.imports[module] if name.startswith("melon_api.sync")}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_services_know_no_request(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0]
    if room not in ("web", "ops") and path.stem not in KNOW_HTTP:
        assert not imports(path) & HTTP


@pytest.mark.parametrize("path", sorted((PACKAGE / "sync/rules").rglob("*.py")), ids=name_of)
def test_the_rules_know_neither_sql_nor_http(path: Path) -> None:
    """Nor any other room: they are given what they judge."""
    found = {name for node in run_time(ast.parse(path.read_text())) for name in imported(node)}
    assert not {name for name in found if name.partition(".")[0] in ("sqlalchemy", "flask")}
    own = {name for name in found if name.partition(".")[0] in ("melon_api", "config", "app")}
    assert not {n for n in own if not n.startswith(("melon_api.sync.rules", "melon_api.errors"))}


@pytest.mark.parametrize("path", sorted((PACKAGE / "sync").rglob("*.py")), ids=name_of)
def test_the_engine_names_no_table(path: Path) -> None:
    """`projects` and `tasks` are an example."""
    texts = [n.value for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Constant)]
    assert not [t for t in texts if t in ("projects", "tasks")]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("__init__.py")), ids=name_of)
def test_each_room_says_its_rule(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_the_house_has_no_circle() -> None:
    assert SHAPE.circles == []


def test_a_worker_holds_no_alembic(tmp_path: Path) -> None:
    """12 MB that `flask db` alone needs."""
    code = "import sys, wsgi; print('alembic' in sys.modules)"
    environ = os.environ | {"APP_ENV": "testing", "INSTANCE_PATH": str(tmp_path)}
    command, place = [sys.executable, "-c", code], PACKAGE.parent
    done = subprocess.run(
        command, cwd=place, env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_the_house_keeps_its_measure() -> None:
    """What `make shape` prints: a room fits into a head, and a line is found in few hops."""
    sizes = list(SHAPE.lines.values())
    assert median(sizes) < 90
    assert max(sizes) <= 250
    assert len(SHAPE.chain) <= 9, " -> ".join(SHAPE.chain)
    assert not {name: count for name, count in SHAPE.packages.items() if count > 12}


def test_no_two_files_of_tests_have_one_name() -> None:
    """pytest imports them by it."""
    names = [
        path.name for path in (ROOT / "tests").rglob("test_*.py") if "node_modules" not in str(path)
    ]
    assert sorted(names) == sorted(set(names))
