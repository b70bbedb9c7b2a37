"""Imports point one way: models, then auth and sync, then users, then routes and the factory."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "melon_api"
# Lower may not import from higher; modules that are not named are free.
LAYERS = [
    ["melon_api.models", "melon_api.errors", "melon_api.extensions"],
    ["melon_api.database", "melon_api.http"],
    ["melon_api.auth", "melon_api.sync", "melon_api.ops"],
    ["melon_api.users", "melon_api.seed"],
    ["melon_api.cli"],
]
NO_HTTP = (
    "service",
    "merge",
    "clock",
    "bulk",
    "stored",
    "changes",
    "history",
    "tables",
    "sanitize",
    "push_body",
)
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def layer(module: str) -> int | None:
    for height, packages in enumerate(LAYERS):
        if any(module == p or module.startswith(f"{p}.") for p in packages):
            return height
    return None


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_down(path: Path) -> None:
    own = layer(name_of(path))
    above = {m for m in imports(path) if own is not None and (layer(m) or 0) > own}
    assert not above


@pytest.mark.parametrize("path", [p for p in MODULES if p.stem in NO_HTTP], ids=name_of)
def test_services_know_no_request(path: Path) -> None:
    wrong = {"flask.request", "flask.g", "flask.Response", "flask.jsonify"}
    assert not imports(path) & wrong


@pytest.mark.parametrize("path", sorted((PACKAGE / "sync").glob("*.py")), ids=name_of)
def test_the_engine_names_no_table(path: Path) -> None:
    """Contract of the design: `projects` and `tasks` are an example."""
    texts = [n.value for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Constant)]
    assert not [t for t in texts if t in ("projects", "tasks")]


def test_a_worker_holds_no_alembic(tmp_path: Path) -> None:
    """12 MB that `flask db` alone needs."""
    code = "import sys, melon_api; melon_api.create_app(); print('alembic' in sys.modules)"
    environ = os.environ | {"APP_ENV": "testing", "INSTANCE_PATH": str(tmp_path)}
    command, place = [sys.executable, "-c", code], PACKAGE.parent
    done = subprocess.run(
        command, cwd=place, env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
