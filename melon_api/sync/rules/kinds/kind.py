"""What a kind of column says of itself; each one is its own class.

SQL types go by the names of their classes in SQLAlchemy, SQL is text with `{0}` for the column.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from marshmallow import ValidationError, fields

AppType = Literal["string", "number", "boolean"]  # WatermelonDB's
Decide = Callable[[Any], bool]
Convert = Callable[[Any], Any]
# (column, why): a null or a value of another type became the column's empty value, or the column is
# unknown and was dropped.
Repair = tuple[str, Literal["null", "type", "unknown"]]


@dataclass(frozen=True)
class Kind:
    """What a column holds, with its bounds as fields."""

    app_type: ClassVar[AppType]
    empty: ClassVar[str | int | bool]  # the client's `nullValue` (WatermelonDB, RawRecord)
    sql_types: ClassVar[frozenset[str]]  # that a model may use for it
    families: ClassVar[frozenset[str]]  # one of which any such column is, in any database
    compared_by: ClassVar[str | None] = None  # the SQL function without which `=` is not exact
    json: ClassVar[str] = "{0}"  # the column as JSON, in MySQL's and MariaDB's SQL; or NULL
    refers: ClassVar[bool] = False  # it names a parent record
    decorator: ClassVar[str] = "@field('{0}')"  # of the app's model class, for a column's name
    typescript: ClassVar[str]

    @classmethod
    def made_from(cls, name: str, length: int | None) -> Self | None:
        """The kind of a model's column of the SQL type `name`; None for one that does not sync."""
        return cls()

    # --- a pushed value, as closures: ten thousand records ask for each of their columns

    def is_right(self) -> Decide:
        """Whether a value is plainly as it should be, which nearly all are; False decides
        nothing."""
        raise NotImplementedError

    def put_right(self, empty: Any) -> Convert:
        """A value of a wrong type as the client's own `sanitizedRaw` would have it; `empty` is the
        column's."""
        raise NotImplementedError

    def holds(self) -> Decide:
        """Whether a value that was put right can be kept whole."""
        return lambda _value: True

    def explain(self, value: Any) -> list[str]:
        """Why it cannot."""
        try:
            self.field().deserialize(value)
        except ValidationError as error:
            return list(error.messages)
        return []

    @property
    def most_octets(self) -> int:
        """How many bytes its literal may take."""
        return 32

    # --- a stored value

    def from_database(self) -> Convert | None:
        """What a database answers, as Python; None where it is that already."""
        return None

    def to_wire(self) -> Convert | None:
        """The same, as the JSON library is to write it."""
        return self.from_database()

    # --- a value elsewhere

    def field(self, **options: Any) -> fields.Field[Any]:
        """For `/openapi.json` and for the sentences about what does not fit."""
        raise NotImplementedError

    @staticmethod
    def literal(value: Any) -> str:
        """As MySQL and MariaDB read it in a statement; never None."""
        raise NotImplementedError

    @staticmethod
    def checksum(value: Any) -> bytes:
        """What a record's checksum is made of (rules/checksum.py); never None."""
        raise NotImplementedError

    def sample(self, column: str) -> Any:
        """A value for the examples of `/docs`."""
        raise NotImplementedError

    @property
    def limit(self) -> str | None:
        """What the server refuses, as a sentence for the app's developer."""
        return None
