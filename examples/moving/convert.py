"""Exports of another backend, as the JSON lines that `flask users load` and `flask data load` take.

    python convert.py SOURCE FOLDER

reads the folder's files as SOURCE (sql, firebase, realm, instant) writes them, and puts
accounts.jsonl and records.jsonl beside them. Change TABLES and NAMES to what your app has; a
column that is in neither is left out, and told. A folder without any of them ends it with 1.
"""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Row = dict[str, Any]

# Their names of tables and columns, and ours.
TABLES = {"projects": "projects", "Project": "projects", "tasks": "tasks", "Task": "tasks"}
NAMES = {
    **{name: name for name in ("id", "name", "title", "description", "is_completed", "project_id")},
    **{"created_at": "created_at", "updated_at": "updated_at"},
    **{"_id": "id", "done": "is_completed", "isComplete": "is_completed"},
    **{"project": "project_id", "projectId": "project_id"},
    **{"createdAt": "created_at", "updatedAt": "updated_at"},
}
TIMES = ("created_at", "updated_at")
BOOLEANS = ("is_completed",)  # 0 and 1 in SQL that has none
OWNERS = ("user_id", "owner_id", "ownerId")
dropped: set[str] = set()


def lines(path: Path) -> Iterator[Row]:
    """Of a file with an object a line; a missing one has none."""
    if path.exists():
        yield from (json.loads(line) for line in path.read_text().splitlines() if line.strip())


def milliseconds(value: Any) -> float | None:
    """ISO text, Firestore's and MongoDB's times, or a number of ms, which stays."""
    if isinstance(value, dict) and "_seconds" in value:
        return value["_seconds"] * 1000 + value["_nanoseconds"] // 1_000_000
    if isinstance(value, dict):
        value = value["$date"]
    if not isinstance(value, str):
        return value
    moment = datetime.fromisoformat(value)  # without a zone: the database's, which is UTC here
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def plain(value: Any) -> Any:
    """MongoDB's `{"$oid": id}`, and a link to another record, are its id."""
    if isinstance(value, list):
        value = value[0] if value else None
    return value.get("$oid", value.get("id")) if isinstance(value, dict) else value


def record(row: Row) -> Row:
    found: Row = {}
    for theirs, value in row.items():
        if theirs in OWNERS:
            continue
        if (ours := NAMES.get(theirs)) is None:
            dropped.add(theirs)
        elif ours in TIMES:
            found[ours] = milliseconds(value)
        else:
            found[ours] = bool(value) if ours in BOOLEANS else plain(value)
    return found


def owner(row: Row) -> str:
    return str(plain(next(row[name] for name in OWNERS if name in row)))


def sql(folder: Path) -> tuple[list[Row], list[tuple[str, str, Row]]]:
    """users.jsonl and a file for each table: `row_to_json` or `JSON_OBJECT`, a row a line."""
    accounts = [
        {
            "id": str(row["id"]),
            "email": row["email"],
            "name": row.get("name"),
            "password_hash": row.get("encrypted_password") or row.get("password_hash"),
            "verified": bool(row.get("email_confirmed_at") or row.get("verified")),
        }
        for row in lines(folder / "users.jsonl")
    ]
    found = [(name, row) for name in TABLES for row in lines(folder / f"{name}.jsonl")]
    return accounts, [(owner(row), name, row) for name, row in found]


def firebase(folder: Path) -> tuple[list[Row], list[tuple[str, str, Row]]]:
    """users.json of `firebase auth:export`; firestore.json: users/ID/COLLECTION/ID/document."""
    accounts = [
        {
            "id": user["localId"],
            "email": user["email"],
            "name": user.get("displayName"),
            "verified": user.get("emailVerified", False),
        }
        for user in json.loads((folder / "users.json").read_text())["users"]
        if user.get("email")
    ]
    users = json.loads((folder / "firestore.json").read_text())["users"]
    return accounts, [
        (user, collection, {"id": key, **document})
        for user, collections in users.items()
        for collection, documents in collections.items()
        for key, document in documents.items()
    ]


def realm(folder: Path) -> tuple[list[Row], list[tuple[str, str, Row]]]:
    """users.json of App Services' Admin API; a file for each collection of `mongoexport`."""
    accounts = [
        {"id": user["_id"], "email": user["data"]["email"], "verified": True}
        for user in json.loads((folder / "users.json").read_text())
        if user.get("data", {}).get("email")
    ]
    found = [(name, row) for name in TABLES for row in lines(folder / f"{name}.json")]
    return accounts, [(owner(row), name, row) for name, row in found]


def instant(folder: Path) -> tuple[list[Row], list[tuple[str, str, Row]]]:
    """data.json: what the admin SDK's query of `$users` and each namespace answers."""
    data = json.loads((folder / "data.json").read_text())
    accounts = [{"id": u["id"], "email": u["email"], "verified": True} for u in data["$users"]]
    found = [(name, row) for name in data if name in TABLES for row in data[name]]
    return accounts, [(owner(row), name, row) for name, row in found]


SOURCES = {"sql": sql, "firebase": firebase, "realm": realm, "instant": instant}


def main(source: str, name: str) -> None:
    folder = Path(name)
    accounts, found = SOURCES[source](folder)
    if not accounts and not found:
        sys.exit(f"Nothing to convert: {folder} has none of the files that {source} reads.")
    people = [{key: value for key, value in one.items() if value is not None} for one in accounts]
    records = [
        {"account": account, "table": TABLES[table], "record": record(row)}
        for account, table, row in found
    ]
    for file, rows in (("accounts", people), ("records", records)):
        text = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
        (folder / f"{file}.jsonl").write_text(text)
    sys.stdout.write(f"{len(people)} accounts, {len(records)} records.\n")
    if dropped:
        sys.stdout.write(f"Left out: {', '.join(sorted(dropped))}.\n")


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in SOURCES:
        sys.exit(__doc__)
    main(*sys.argv[1:])
