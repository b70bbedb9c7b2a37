"""What the database alone takes: the same rows written and read by PyMySQL, and nothing else.

The tables are those of our own migration. A column that no record has is a clock, a device or a
flag, and gets a number.
"""

from collections.abc import Iterable
from typing import Any

from pymysql.cursors import Cursor

WIRE = {
    "projects": ("id", "name", "description", "created_at", "updated_at"),
    "tasks": (
        "id",
        "title",
        "description",
        "is_completed",
        "project_id",
        "created_at",
        "updated_at",
    ),
}
DEVICE = 4_611_686_018_427_387_904  # as long as a real one
MULTI_ROW_BYTES = 1 << 20  # of one statement; the server takes 16 MiB


def new_user(connection: Any, user_id: str) -> None:
    """An account's row, whatever other columns `users` has."""
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = ''")  # they get their type's empty value
        cursor.execute("INSERT INTO users (id, email) VALUES (%s, %s)", (user_id, user_id))
        cursor.execute("SET SESSION sql_mode = 'TRADITIONAL'")
    connection.commit()


def columns(connection: Any, table: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table} LIMIT 0")
        return [column[0] for column in cursor.description]


def rows(
    names: list[str], user_id: str, tick: int, records: Iterable[dict[str, Any]]
) -> list[tuple[Any, ...]]:
    """The records as rows of a table with these columns; `tick` in ms."""
    return [tuple(_value(name, user_id, tick, record) for name in names) for record in records]


def upsert(connection: Any, table: str, names: list[str], values: list[tuple[Any, ...]]) -> None:
    """Insert or overwrite in bulk: many rows in a statement, which PyMySQL puts together."""
    with connection.cursor() as cursor:
        cursor.max_stmt_length = MULTI_ROW_BYTES
        cursor.executemany(upsert_statement(table, names), values)


def upsert_statement(table: str, names: list[str]) -> str:
    kept = ("user_id", "id")
    changed = ", ".join(f"{name} = VALUES({name})" for name in names if name not in kept)
    places = ", ".join(["%s"] * len(names))
    insert = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})"
    return f"{insert} ON DUPLICATE KEY UPDATE {changed}"


class _Recorder(Cursor):
    """Keeps the statements that it is given, and sends none."""

    def execute(self, query: Any, args: Any = None) -> int:
        self.texts = [*getattr(self, "texts", ()), bytes(query)]
        return 0


def statements(
    connection: Any, table: str, names: list[str], values: list[tuple[Any, ...]]
) -> list[bytes]:
    """What `upsert` sends: with these at hand, the time is the database's own."""
    with connection.cursor(_Recorder) as cursor:
        cursor.max_stmt_length = MULTI_ROW_BYTES
        cursor.executemany(upsert_statement(table, names), values)
        return list(cursor.texts)


def fetch_all(connection: Any, user_id: str, since: int = 0) -> int:
    """Fetch what a pull reads, as the driver's tuples; how many rows. `since` in ms."""
    count = 0
    with connection.cursor() as cursor:
        for table, names in WIRE.items():
            query = f"SELECT {', '.join(names)} FROM {table} WHERE user_id = %s AND "
            query += "updated_at_ms > %s" if since else "is_deleted = %s"
            cursor.execute(query, (user_id, since))
            count += len(cursor.fetchall())
    connection.rollback()
    return count


def small_push(
    connection: Any, names: list[str], user_id: str, now_ms: int, ids: list[str]
) -> None:
    """What a push of these tasks has to write at the least; `names`: the columns of `tasks`."""
    records = [{"id": i, "title": "Buy a lamp", "description": "x" * 60} for i in ids]
    with connection.cursor() as cursor:
        cursor.execute("SELECT last_modified_at FROM users WHERE id = %s FOR UPDATE", user_id)
        tick = max(now_ms, cursor.fetchone()[0] + 1)
        upsert(connection, "tasks", names, rows(names, user_id, tick, records))
        cursor.execute("UPDATE users SET last_modified_at = %s WHERE id = %s", (tick, user_id))
    connection.commit()


def _value(name: str, user_id: str, tick: int, record: dict[str, Any]) -> Any:
    if name == "user_id":
        return user_id
    if name in record:
        return record[name]
    if name.endswith("_by"):
        return DEVICE
    return tick if name in ("created_at_ms", "updated_at_ms") else 0
