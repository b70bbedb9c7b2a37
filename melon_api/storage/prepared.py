"""Statements that are the same each time, turned into the database's text once, and sent past
SQLAlchemy's execution of them.

SQLAlchemy builds, keys and looks up an expression at each execution, and makes a context and a
result of several layers for each text: most of the CPU of a small push, once. Values go to the
driver and come from it as they are, so this is for integers, booleans and text, not for types that
SQLAlchemy converts. Transactions, the pool, events and errors are SQLAlchemy's all the same.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ClauseElement, Connection, Dialect

Parameters = Sequence[Any] | Mapping[str, Any]
Rows = Sequence[Sequence[Any]]


class Prepared:
    """A statement whose parameters have names (`bindparam`)."""

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._texts: dict[Dialect, tuple[str, tuple[str, ...] | None]] = {}

    def rows(self, connection: Connection, **values: Any) -> Rows:
        """Of a query."""
        return ask(connection, *self._with(connection.dialect, values))

    def values(self, connection: Connection, **values: Any) -> list[Any]:
        """Of a query for one column."""
        return [row[0] for row in self.rows(connection, **values)]

    def value(self, connection: Connection, **values: Any) -> Any:
        """Of a query for one column of one row at most; None where there is none."""
        found = self.rows(connection, **values)
        return found[0][0] if found else None

    def change(self, connection: Connection, **values: Any) -> int:
        """How many rows a statement that changes some has met."""
        return change(connection, *self._with(connection.dialect, values))

    def _with(self, dialect: Dialect, values: dict[str, Any]) -> tuple[str, Parameters]:
        text, order = self._texts.get(dialect) or self._text(dialect)
        return text, values if order is None else tuple([values[name] for name in order])

    def _text(self, dialect: Dialect) -> tuple[str, tuple[str, ...] | None]:
        """And the order of the parameters, None when the driver takes them by name."""
        compiled: Any = self._statement.compile(dialect=dialect)
        order = tuple(compiled.positiontup) if compiled.positional else None
        made = self._texts[dialect] = (str(compiled), order)
        return made


def ask(connection: Connection, statement: str, parameters: Parameters) -> Rows:
    """The rows of a query, as the driver has them. Raises what SQLAlchemy does."""
    rows: Rows = _executed(connection, statement, parameters, lambda cursor: cursor.fetchall())
    return rows


def change(connection: Connection, statement: str, parameters: Parameters) -> int:
    """How many rows a statement has met that changes some. Raises what SQLAlchemy does."""
    return int(_executed(connection, statement, parameters, lambda cursor: cursor.rowcount))


class _Context:
    """What SQLAlchemy's listeners may leave something in, from before a statement to behind it."""

    executemany = False

    def handle_dbapi_exception(self, error: Any) -> None:
        """SQLAlchemy tells its own contexts."""


def _executed(connection: Any, statement: str, parameters: Any, taken: Callable[[Any], Any]) -> Any:
    if not connection.in_transaction():
        connection.begin()
    context, cursor, listeners = _Context(), None, connection.engine.dispatch
    try:
        cursor = connection.connection.cursor()
        for listen in listeners.before_cursor_execute:
            statement, parameters = listen(
                connection, cursor, statement, parameters, context, False
            )
        cursor.execute(statement, parameters)
        listeners.after_cursor_execute(connection, cursor, statement, parameters, context, False)
        found = taken(cursor)
        cursor.close()
    except BaseException as error:  # as its own executions end: a lost connection is replaced
        connection._handle_dbapi_exception(error, statement, parameters, cursor, context)
    return found


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
