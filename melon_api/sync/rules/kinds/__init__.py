"""What a column may hold: one class for each kind. All that differs from kind to kind is there.

A new kind is a class, its place in KINDS, and its test (tests/unit/test_kinds.py).
"""

from collections.abc import Iterable

from melon_api.sync.rules.kinds.flag import Boolean
from melon_api.sync.rules.kinds.kind import AppType, Kind
from melon_api.sync.rules.kinds.numbers import Integer, Number
from melon_api.sync.rules.kinds.texts import JsonText, String, Text

# The more special ones first: of a type that is several, the first counts.
KINDS: tuple[type[Kind], ...] = (Boolean, JsonText, Text, String, Integer, Number)


def kind_of(names: Iterable[str], length: int | None) -> Kind | None:
    """The kind of an SQL type: `names` are those of its classes in SQLAlchemy, its own first,
    `length` is its own. None for a type that could refuse what an app may push."""
    for name in names:
        for kind in KINDS:
            if name in kind.sql_types:
                return kind.made_from(name, length)
    return None


def app_type(names: Iterable[str]) -> AppType | None:
    """The type in an app's schema of any column of such an SQL type, also where it would not sync
    today; None where no app could hold it."""
    known = set(names)
    return next((kind.app_type for kind in KINDS if kind.families & known), None)
