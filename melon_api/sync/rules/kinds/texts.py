"""Text: up to a number of characters, or of bytes; JSON as text; the id of a parent record."""

import json
from dataclasses import dataclass
from typing import Any, Self

import orjson
from marshmallow import ValidationError, fields, validate

from melon_api.sync.rules.kinds.kind import Convert, Decide, Kind

TEXT_BYTES = 65_535  # what MySQL's TEXT holds
MOST_CHARACTERS = 16_383  # of a VARCHAR in MySQL's utf8mb4
NOT_JSON = "Not JSON, or nested too deeply."


def text_literal(value: str) -> str:
    """A string literal. Our sessions' sql_mode (config.MYSQL_SESSION) has backslash escapes; were
    it without them, no text could end the literal either."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


class _Textual(Kind):
    """What texts of every kind share."""

    app_type = "string"
    empty = ""
    families = frozenset({"String"})
    compared_by = "hex"  # MySQL says that '  ' equals ''
    json = "JSON_QUOTE({0})"
    typescript = "string"
    literal = staticmethod(text_literal)

    def put_right(self, empty: Any) -> Convert:
        return lambda value: value if type(value) is str else empty

    @staticmethod
    def checksum(value: str) -> bytes:
        return b"s" + value.encode() + b"\0"

    def sample(self, column: str) -> Any:
        return column.replace("_", " ").capitalize()


@dataclass(frozen=True)
class String(_Textual):
    """At most so many characters."""

    characters: int

    sql_types = frozenset({"String"})
    decorator = "@text('{0}')"

    @classmethod
    def made_from(cls, name: str, length: int | None) -> Self | None:
        return cls(length) if length and length <= MOST_CHARACTERS else None

    def is_right(self) -> Decide:
        most = self.characters
        return lambda value: type(value) is str and len(value) <= most

    def holds(self) -> Decide:
        most = self.characters
        return lambda value: value is None or len(value) <= most

    @property
    def most_octets(self) -> int:
        return 4 * self.characters + 2

    def field(self, **options: Any) -> fields.Field[Any]:
        return fields.String(validate=validate.Length(max=self.characters), **options)

    def sample(self, column: str) -> Any:
        return super().sample(column)[: self.characters]

    @property
    def limit(self) -> str | None:
        return f"At most {self.characters} characters."


@dataclass(frozen=True)
class Text(_Textual):
    """At most so many bytes of UTF-8, which is how MySQL measures a TEXT."""

    octets: int = TEXT_BYTES

    sql_types = frozenset({"Text"})
    decorator = "@text('{0}')"

    @classmethod
    def made_from(cls, name: str, length: int | None) -> Self | None:
        return cls(length or TEXT_BYTES)

    def is_right(self) -> Decide:
        most = self.octets // 4
        return lambda value: type(value) is str and len(value) <= most

    def holds(self) -> Decide:
        most = self.octets

        def is_light(value: Any) -> bool:
            return value is None or len(value) * 4 <= most or len(value.encode()) <= most

        return is_light

    @property
    def most_octets(self) -> int:
        return 2 * self.octets + 2

    def field(self, **options: Any) -> fields.Field[Any]:
        return fields.String(validate=Octets(self.octets), **options)

    @property
    def limit(self) -> str | None:
        return f"At most {self.octets} bytes of UTF-8."


@dataclass(frozen=True)
class JsonText(Text):
    """What WatermelonDB's `@json` writes: kept as it came to the last blank, so that a phone and
    the server hold the same. The empty text is the column's empty value, and no JSON."""

    sql_types = frozenset({"JsonText"})
    decorator = "@json('{0}', (value) => value)"
    typescript = "any"

    def is_right(self) -> Decide:
        is_short = super().is_right()
        return lambda value: is_short(value) and (not value or is_json(value))

    def holds(self) -> Decide:
        is_light = super().holds()
        return lambda value: is_light(value) and (not value or is_json(value))

    def field(self, **options: Any) -> fields.Field[Any]:
        metadata = {"description": "JSON, as text"} | options.pop("metadata", {})
        return fields.String(validate=JsonOctets(self.octets), metadata=metadata, **options)

    def sample(self, column: str) -> Any:
        return "{}"

    @property
    def limit(self) -> str | None:
        return f"JSON, at most {self.octets} bytes of UTF-8."


@dataclass(frozen=True)
class Reference(_Textual):
    """The id of a parent record. Whether there is such a record is not a question of its length
    (contract push 4)."""

    characters: int

    sql_types = frozenset()  # made by `belongs_to`
    refers = True

    @property
    def most_octets(self) -> int:
        return 2 * self.characters + 2

    def is_right(self) -> Decide:
        return lambda value: type(value) is str

    def field(self, **options: Any) -> fields.Field[Any]:
        parent = {"description": "id of the parent record", "maxLength": self.characters}
        return fields.String(**(options | {"metadata": parent}))


class Octets(validate.Validator):
    """A length in UTF-8 bytes."""

    def __init__(self, most: int) -> None:
        self.most = most

    def __call__(self, value: str) -> str:
        if len(value.encode()) > self.most:
            raise ValidationError(f"Longer than maximum length {self.most} bytes.")
        return value


class JsonOctets(Octets):
    """The same of JSON: what is too long is not looked at."""

    def __call__(self, value: str) -> str:
        super().__call__(value)
        if value and not is_json(value):
            raise ValidationError(NOT_JSON)
        return value


def is_json(text: str) -> bool:
    """Whether it is JSON (RFC 8259). Half of a surrogate pair may be escaped in it, as
    `JSON.stringify` does; orjson, asked first because it is quick, takes none."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return _is_odd_json(text)
    return True


def _is_odd_json(text: str) -> bool:
    try:
        json.loads(text, parse_int=float, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN, Infinity: JavaScript's, not JSON's
