"""The tables: one class for each of Melon's own, and the base of those that sync.

A module put into this folder is found by itself.
"""

import importlib
import pkgutil


def load() -> None:
    """Import every module of this folder, so that its tables are known."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
