"""Yes or no."""

from typing import Any

from marshmallow import fields

from melon_api.sync.rules.kinds.kind import Convert, Decide, Kind


def _flag(value: Any) -> bool | None:
    return None if value is None else value == 1


class Boolean(Kind):
    app_type = "boolean"
    empty = False
    sql_types = frozenset({"Boolean"})
    families = frozenset({"Boolean"})
    json = "CASE WHEN {0} = 1 THEN 'true' WHEN {0} IS NOT NULL THEN 'false' END"
    typescript = "boolean"

    def is_right(self) -> Decide:
        return lambda value: value is True or value is False

    def put_right(self, empty: Any) -> Convert:
        """1 and 0 are booleans (contract push 5)."""

        def boolean(value: Any) -> Any:
            if type(value) is bool:
                return value
            return bool(value) if type(value) in (int, float) and value in (0, 1) else empty

        return boolean

    def from_database(self) -> Convert:
        return _flag

    def field(self, **options: Any) -> fields.Field[Any]:
        return fields.Boolean(**options)

    def sample(self, column: str) -> Any:
        return False

    @staticmethod
    def literal(value: bool) -> str:
        return "1" if value else "0"

    @staticmethod
    def checksum(value: bool) -> bytes:
        return b"t" if value else b"f"
