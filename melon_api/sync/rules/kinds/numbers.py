"""JavaScript's numbers, and whole ones of a given size."""

import math
import struct
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

from marshmallow import fields, validate

from melon_api.sync.rules.kinds.kind import Convert, Decide, Kind

EXACT_BITS, LONG_BITS = 53, 63  # of a double's whole numbers; of the JSON library's
TOO_MANY_DIGITS = "It has more digits than a JavaScript number."
_double = struct.Struct(">cd")


def as_javascript_writes(number: float) -> int | float:
    """A whole double as `JSON.stringify` writes it, where our JSON library can."""
    if abs(number) < 1 << EXACT_BITS:
        return int(number)
    return shortest_digits(number) if abs(number) < 1 << LONG_BITS else number


def shortest_digits(number: float) -> int:
    """The digits that tell a whole double from its neighbours, then zeros."""
    return int(Decimal(repr(number)))


def _written(value: Any) -> Any:
    return as_javascript_writes(value) if type(value) is float and value.is_integer() else value


def _finite(value: Any, empty: Any) -> Any:
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return value or 0  # -0 is 0
    return empty


class _Numeric(Kind):
    """What numbers of either kind share."""

    app_type = "number"
    empty = 0
    typescript = "number"

    @staticmethod
    def literal(value: float) -> str:
        """An integer, or a double with an exponent: without, it would be a decimal."""
        if type(value) is not float:
            return str(int(value))
        text = repr(value)
        return text if "e" in text else text + "e0"

    @staticmethod
    def checksum(value: float) -> bytes:
        return _double.pack(b"d", value)


class Number(_Numeric):
    """A double, as every number of an app is."""

    sql_types = frozenset({"Double"})
    families = frozenset({"Float", "Numeric"})
    # MySQL writes whole doubles from 1e15 on as 1e15, and integers faster than doubles;
    # `as_javascript_writes` gives up at 2**63.
    json = (
        "CASE WHEN {0} BETWEEN 1 AND 1e15 AND {0} = FLOOR({0}) THEN CAST({0} AS SIGNED INTEGER)"
        " WHEN {0} = 0 THEN '0' WHEN ABS({0}) < 1e15 THEN {0}"
        " WHEN {0} = FLOOR({0}) AND ABS({0}) < 9223372036854775808e0"
        " THEN CAST(CAST({0} AS DECIMAL(20, 0)) AS CHAR) ELSE {0} END"
    )

    def is_right(self) -> Decide:
        limit = 1 << EXACT_BITS
        return lambda value: type(value) is int and -limit < value < limit

    def put_right(self, empty: Any) -> Convert:
        def number(value: Any) -> Any:
            value = _finite(value, empty)
            if type(value) is int and value.bit_length() > EXACT_BITS:
                exact = float(value)
                return exact if value in (int(exact), shortest_digits(exact)) else value
            return value

        return number

    def holds(self) -> Decide:
        return lambda value: type(value) is not int or value.bit_length() <= EXACT_BITS

    def to_wire(self) -> Convert:
        return _written

    def explain(self, value: Any) -> list[str]:
        return [] if self.holds()(value) else [TOO_MANY_DIGITS]

    def field(self, **options: Any) -> fields.Field[Any]:
        return fields.Float(**options)

    def sample(self, column: str) -> Any:
        return 1.5


@dataclass(frozen=True)
class Integer(_Numeric):
    """A whole number. 3.0 is one; 1.5 cannot be kept whole, and is refused by name."""

    bits: int = 64

    sql_types = frozenset({"SmallInteger", "Integer", "BigInteger"})
    families = frozenset({"Integer"})

    @classmethod
    def made_from(cls, name: str, length: int | None) -> Self | None:
        return cls({"SmallInteger": 16, "Integer": 32, "BigInteger": 64}[name])

    def is_right(self) -> Decide:
        limit = 1 << (self.bits - 1)
        return lambda value: type(value) is int and -limit < value < limit

    def put_right(self, empty: Any) -> Convert:
        def integer(value: Any) -> Any:
            value = _finite(value, empty)
            return int(value) if type(value) is float and value.is_integer() else value

        return integer

    def holds(self) -> Decide:
        limit = 1 << (self.bits - 1)
        return lambda value: value is None or (type(value) is int and -limit <= value < limit)

    def field(self, **options: Any) -> fields.Field[Any]:
        limit = 1 << (self.bits - 1)
        within = validate.Range(-limit, limit - 1)
        return fields.Integer(strict=True, validate=within, **options)

    def sample(self, column: str) -> Any:
        return 1

    @property
    def limit(self) -> str | None:
        below = f" below 2^{self.bits - 1}" if self.bits <= EXACT_BITS else ""
        return f"A whole number{below}."
