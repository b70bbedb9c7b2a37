"""The app's own room: the package that MELON_APP names, with tables, rules, jobs, routes and seed.

Each of its modules may be missing. One that is there is imported, and where it fails is said.
"""

import importlib
import pkgutil
import traceback
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from environ import Settings, text
from melon_api import models
from melon_api.models.names import ModelError
from melon_api.models.synced import apps


class AppError(Exception):
    """What is wrong in the app's room; the message says where, in one line."""


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
    """Import Melon's own tables, then the app's tables, rules and jobs.

    Raises AppError for a module that fails, RuntimeError when this process has the tables of
    another app.
    """
    load_tables(package)
    part(package, "rules")
    part(package, "jobs")


def load_tables(package: str) -> None:
    """Melon's own tables, then the app's. Raises as `load` does."""
    if apps not in ([], [package]):
        raise RuntimeError(f"the tables of {apps[0]} are here; {package} wants its own process")
    apps[:] = [package]
    try:
        _import_all(models)
    except AppError as error:  # an older Melon had them there
        moved = f"{error}; tables of your own stand in {package}/ now (docs/upgrading.md)"
        raise AppError(moved) from error
    tables = part(package, "models")
    if tables is not None and hasattr(tables, "__path__"):
        _import_all(tables, package)


def part(package: str, name: str) -> ModuleType | None:
    """A module of the app's room; None where it has none. Raises AppError for one that fails."""
    _import(package, package)
    full = f"{package}.{name}"
    return _import(full, package) if find_spec(full) else None


def _import(module: str, package: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModelError:  # says of which model it is
        raise
    except Exception as error:
        said = f"{type(error).__name__}: {getattr(error, 'msg', error)}"
        raise AppError(f"{_place(error, package) or module}: {said}") from error


def _place(error: Exception, package: str) -> str:
    """The last file and line of this package that was at work."""
    places = [
        (frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if f"{frame.f_globals.get('__name__')}.".startswith(f"{package}.")
    ]
    if isinstance(error, SyntaxError) and error.filename:
        places.append((error.filename, error.lineno or 0))
    return "{}, line {}".format(*places[-1]) if places else ""


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


def _import_all(folder: ModuleType, package: str = "") -> None:
    """Every module of a folder."""
    for module in pkgutil.iter_modules(folder.__path__):
        name = f"{folder.__name__}.{module.name}"
        _import(name, package or name)
