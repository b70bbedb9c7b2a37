"""Run inside a copy of the project whose models have the names of `named_models.py`.

Not collected by itself; `test_own_tables.py` runs it there, on each database.
"""

import zlib
from typing import Any

import pytest
from devices import Account, bare, created, deleted, edited, new_id, updated
from flask import Flask

from app.models import LONG
from melon_api.sync.discovery import synced_tables

LONG_TABLE = LONG + "_table"
OWN = ("user_id", "created_by", "updated_by", "is_deleted", "metadata", "_id", "_updated_at")
TEXTS = ("group", "class", "Order", "_", "_1", "Meta", "Constructor", "toJSON", "length", "since")
TEXTS += ("device", "foo", "Foo", "swap", "swop")


@pytest.fixture
def account(app: Flask) -> Account:
    return Account(app)


def record(**values: Any) -> dict[str, Any]:
    base = {"id": new_id(), "created_at": 1, "updated_at": 2}
    return base | {"_status": "created", "_changed": ""} | values


def user(**values: Any) -> dict[str, Any]:
    own = {"user_id": None, "created_by": "ada", "updated_by": "bo", "is_deleted": True}
    own |= {"metadata": "{}", "_id": "x'\"\\%:", "_updated_at": 1.5}
    return record(**own | values)


def session(user_id: str, **values: Any) -> dict[str, Any]:
    return record(**{"user_id": user_id, "updated_at_ms": 7, LONG: None} | values)


def everything() -> dict[str, list[dict[str, Any]]]:
    """Records of all tables of odd names."""
    ada = user()
    bob, odd = user(user_id=ada["id"]), record(**{name: f"the {name}"[:9] for name in TEXTS})
    top = record(b=None)
    return {
        "users": [ada, bob],
        "sessions": [session(ada["id"]), session(bob["id"], **{LONG: odd["id"]})],
        LONG_TABLE: [odd],
        "Meta": [top, record(b=top["id"])],
        "changes": [record(text="x")],
        "user": [record(text="y")],
    }


def by_id(records: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {one["id"]: bare(one) for one in records}


def test_every_name_travels_on_every_way(account: Account) -> None:
    """Contract pull 2 to 6, push 1, Accounts 12, Verify 2; a table's name is the phone's."""
    phone, tablet, tables = account.first, account.device(), everything()
    assert tables.keys() <= synced_tables().keys()
    tablet.pull()
    assert phone.push(**{name: created(*records) for name, records in tables.items()}) is not None
    wanted = {name: by_id(records) for name, records in tables.items()}

    def same(changes: dict[str, Any], key: str = "created") -> bool:
        return {name: by_id(changes[name][key]) for name in tables} == wanted

    assert same(tablet.pull())  # few news
    assert same(account.device().pull())  # a first pull
    for more in ({"replacement": True}, {"limit": 100}):
        assert same(tablet.ask_pull(None, **more).json["changes"])
    exported = phone.call("GET", "/users/me/export").json
    assert exported["user"]["id"] == account.user["id"]
    assert [one["current"] for one in exported["sessions"]].count(True) == 1
    for name in tables:
        key = f"records.{name}" if name in ("user", "sessions") else name
        assert by_id(exported[key]) == wanted[name]
    added = [{"table": "users", "columns": ["created_by"]}, {"table": LONG_TABLE, "columns": ["_"]}]
    more = {"from": 1, "tables": ["sessions"], "columns": added}
    told = tablet.pull(migration=more)
    assert by_id(told["users"]["updated"]) == wanted["users"]
    assert by_id(told["sessions"]["created"]) == wanted["sessions"]
    assert by_id(told[LONG_TABLE]["updated"]) == wanted[LONG_TABLE]
    total = sum(
        zlib.crc32(f"s{u['id']}\0s{u['_id']}\0s{u['created_by']}\0".encode())
        for u in wanted["users"].values()
    )
    held = {"columns": ["created_by", "_id"], "count": 2, "checksum": total}
    body = {"lastPulledAt": tablet.pulled_at, "tables": {"users": held}}
    assert tablet.call("POST", "/sync/verify", json=body).json["identical"] is True


def test_edits_of_such_columns_are_merged(account: Account) -> None:
    """Contract push 3: `_changed` has the phone's names."""
    phone, tablet, ada = account.first, account.device(), user()
    phone.push(users=created(ada))
    phone.pull(), tablet.pull()
    phone.push(users=updated(edited(ada, created_by="eve", is_deleted=False)))
    tablet.push(users=updated(edited(ada, updated_by="tim", _updated_at=3)))
    both = {"created_by": "eve", "is_deleted": False, "updated_by": "tim", "_updated_at": 3}
    assert phone.pull()["users"]["updated"] == [bare(ada | both)]
    assert account.first.records("users") == {ada["id"]: bare(ada | both)}


def test_a_deletion_cascades_and_clears_under_such_names(account: Account) -> None:
    """Contract push 4; and a purge."""
    phone, tablet, tables = account.first, account.device(), everything()
    phone.push(**{name: created(*records) for name, records in tables.items()})
    phone.pull(), tablet.pull()
    (ada, bob), (hers, his) = tables["users"], tables["sessions"]
    top, below = tables["Meta"]
    gone = {LONG_TABLE: deleted(tables[LONG_TABLE][0]["id"]), "Meta": deleted(top["id"])}
    assert phone.push(users=deleted(ada["id"]), **gone) is None
    told = tablet.pull()
    assert told["users"]["updated"] == [bare(bob | {"user_id": None})]
    assert told["sessions"]["deleted"] == [hers["id"]]
    assert sorted(told["Meta"]["deleted"]) == sorted([top["id"], below["id"]])
    assert phone.records("sessions") == {his["id"]: bare(his)}  # on_delete="keep"
    result = account.app.test_cli_runner().invoke(args=["sync", "purge", "--older-than", "0m"])
    assert "Forgot" in result.output, result.output
    assert phone.records("users").keys() == {bob["id"]}


def test_a_fault_is_told_at_the_phones_place(account: Account) -> None:
    """Contract, Errors 3."""
    long, orphan = user(created_by="x" * 41), session("nobody")
    answer = account.first.ask_push({"users": created(long), "sessions": created(orphan)})
    assert answer.json["code"] == "validation_failed"
    at = answer.json["errors"]["changes"]
    assert at["users"]["created"]["0"].keys() == {"created_by"}
    assert at["sessions"]["created"]["0"] == {"user_id": ["No record 'nobody' in users."]}


def test_a_rule_has_the_phones_names(account: Account) -> None:
    answer = account.first.ask_push({"users": created(user(created_by="nobody"))})
    at = answer.json["errors"]["changes"]["users"]["created"]["0"]
    assert at == {"created_by": ["Nobody does."]}


def test_a_table_called_changes_is_told_from_the_field(account: Account) -> None:
    """Contract, Push: the whole of it in the body, or the changes alone."""
    phone, one, two = account.first, record(text="1"), record(text="2")
    for body in ({"changes": created(one)}, {"changes": {"changes": created(two)}}):
        answer = phone.call("POST", "/sync/push?last_pulled_at=0", json=body)
        assert answer.status_code == 200, answer.text
    assert phone.records("changes").keys() == {one["id"], two["id"]}


def test_the_description_has_such_names(account: Account) -> None:
    spec = account.app.test_client().get("/openapi.json").json
    schemas = spec["components"]["schemas"]
    assert set(OWN) < schemas["PersonRecord"]["properties"].keys()
    assert set(TEXTS) < schemas["SelectRecord"]["properties"].keys()
    assert {"users", "sessions", "Meta", LONG_TABLE} < schemas["Changes"]["properties"].keys()
    exported = schemas["Export"]["properties"].keys()
    assert {"user", "sessions", "records.user", "records.sessions", "users"} < exported
