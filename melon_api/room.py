"""The app's own room: the package that MELON_APP names, with its tables, rules, routes and seed.

Each of its modules may be missing. One that is there is imported, and what fails in it is raised.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from environ import Settings, text
from melon_api import models
from melon_api.models.synced import apps


class RoomSettings(Settings):
    MELON_APP: str = text(
        "the package with the app's own tables, rules and routes ([app.md](app.md))", default="app"
    )

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(environ)
        folder = _folder(self.MELON_APP)
        if folder is None:
            self.problems.append(f"MELON_APP: there is no package {self.MELON_APP!r}")
        self.APP_MIGRATIONS = folder and folder / "migrations" / "versions"


def load(package: str) -> None:
    """Import Melon's own tables, then the app's tables and rules.

    Raises RuntimeError when this process has the tables of another app.
    """
    if apps not in ([], [package]):
        raise RuntimeError(f"the tables of {apps[0]} are here; {package} wants its own process")
    apps[:] = [package]
    _import_all(models)
    tables = part(package, "models")
    if tables is not None and hasattr(tables, "__path__"):
        _import_all(tables)
    part(package, "rules")


def part(package: str, name: str) -> ModuleType | None:
    """A module of the app's room; None where it has none."""
    full = f"{package}.{name}"
    return importlib.import_module(full) if find_spec(full) else None


def _folder(package: str) -> Path | None:
    if not all(name.isidentifier() for name in package.split(".")):
        return None
    try:
        found = find_spec(package)
    except ModuleNotFoundError as error:
        if not package.startswith(str(error.name)):  # it is there, what it imports is not
            raise
        return None
    places = found.submodule_search_locations if found else None
    return Path(places[0]) if places else None


def _import_all(package: ModuleType) -> None:
    """Every module of a folder."""
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
