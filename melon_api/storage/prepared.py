"""A statement that is the same each time, turned into the database's text once.

SQLAlchemy builds, keys and looks up an expression at each execution: most of the CPU of a small
push. Values go to the driver and come from it as they are, so this is for integers, booleans and
text, not for types that SQLAlchemy converts.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import (
    ClauseElement,
    Connection,
    CursorResult,
    Dialect,
)


class Prepared:
    """A statement whose parameters have names (`bindparam`)."""

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._texts: dict[Dialect, tuple[str, tuple[str, ...] | None]] = {}

    def execute(self, connection: Connection, **values: Any) -> CursorResult[*tuple[Any, ...]]:
        text, order = self._texts.get(connection.dialect) or self._text(connection.dialect)
        parameters = values if order is None else tuple([values[name] for name in order])
        return connection.exec_driver_sql(text, parameters)

    def _text(self, dialect: Dialect) -> tuple[str, tuple[str, ...] | None]:
        """And the order of the parameters, None when the driver takes them by name."""
        compiled: Any = self._statement.compile(dialect=dialect)
        order = tuple(compiled.positiontup) if compiled.positional else None
        made = self._texts[dialect] = (str(compiled), order)
        return made


@dataclass(frozen=True, slots=True)
class Literals:
    """SQL text as a parameter: values that were escaped already, which the driver's own way of
    writing many rows does at several times the cost. For MySQL and MariaDB."""

    sql: str


def one_of_texts(dialect: Dialect) -> str:
    """Of a column: one of many texts, which are one parameter, as `texts_parameter` makes it."""
    return "IN (SELECT value FROM json_each(?))" if dialect.name == "sqlite" else "IN (%s)"


def texts_parameter(
    dialect: Dialect, texts: Collection[str], literal: Callable[[str], str]
) -> str | Literals:
    """Many texts as one parameter, SQLite takes few; `literal`: of one of them."""
    if dialect.name == "sqlite":
        return orjson.dumps(list(texts)).decode()
    return Literals(",".join(map(literal, texts)))
