"""What the tests of shared spaces do again and again: people, their calls, what they are told."""

from typing import Any

from devices import Account, Device, new_id
from flask import Flask
from sqlalchemy import Table, insert, select, update

from melon_api.models.base import db, utc_now
from melon_api.models.user import User

BAD_TOKEN = {"token": ["Unknown, used, too old, or somebody else's; ask for a new one."]}


def failure(answer: Any) -> tuple[int, str]:
    assert answer.content_type == "application/problem+json"
    return answer.status_code, answer.json["code"]


def create(account: Account, **body: Any) -> dict[str, Any]:
    """A space that the account has made."""
    answer = account.first.call("POST", "/spaces", json={"id": new_id(), "name": "Home"} | body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json)


def invited(owner: Account, space_id: str, role: str = "editor", **more: Any) -> dict[str, Any]:
    """An invitation, with its token."""
    body = {"role": role, **more}
    answer = owner.first.call("POST", f"/spaces/{space_id}/invitations", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json)


def join(account: Account, token: str) -> Any:
    return account.first.call("POST", "/spaces/join", json={"token": token})


def bring(owner: Account, space_id: str, *people: Account, role: str = "editor") -> None:
    """Make members of them."""
    for person in people:
        answer = join(person, invited(owner, space_id, role)["token"])
        assert answer.status_code == 200, answer.text


def spaces_of(account: Account) -> dict[str, dict[str, Any]]:
    answer = account.first.call("GET", "/spaces")
    assert answer.status_code == 200, answer.text
    return {space["id"]: space for space in answer.json}


def roles_in(account: Account, space_id: str) -> dict[str, str]:
    """{account: role}, as this one is told."""
    answer = account.first.call("GET", f"/spaces/{space_id}/members")
    assert answer.status_code == 200, answer.text
    return {member["user_id"]: member["role"] for member in answer.json}


def give(owner: Account, space_id: str, person: Account, role: str) -> Any:
    path = f"/spaces/{space_id}/members/{person.user['id']}"
    return owner.first.call("PATCH", path, json={"role": role})


def remove(caller: Account, space_id: str, person: Account) -> Any:
    return caller.first.call("DELETE", f"/spaces/{space_id}/members/{person.user['id']}")


def verify(account: Account) -> None:
    """As if its address had been confirmed."""
    with account.app.app_context():
        mine = update(User).where(User.id == account.user["id"])
        db.session.execute(mine.values(email_verified_at=utc_now()))
        db.session.commit()


def clock_of(account: Account) -> tuple[int, int]:
    """Its sync clock, and up to where that stands for more than its own space."""
    with account.app.app_context():
        user = db.session.get(User, account.user["id"])
        assert user is not None
        return user.sync_clock, user.shared_clock


class People:
    """The phones of an owner and of an editor of one space, who have pulled."""

    def __init__(self, app: Flask) -> None:
        owner, editor = Account(app), Account(app)
        self.a, self.b = owner.first, editor.first
        self.space: str = create(owner)["id"]
        bring(owner, self.space, editor)
        self.a.pull()
        self.b.pull()


def living(phone: Device, table: str) -> dict[str, Any]:
    """All that the server has for it, by id."""
    answer = phone.call("POST", "/sync/pull", json={"lastPulledAt": None})
    return {record["id"]: record for record in answer.json["changes"][table]["created"]}


def push_partly(phone: Device, **tables: Any) -> dict[str, Any]:
    """What is told of a push with allowPartial."""
    answer = phone.ask_push(tables, allowPartial=True)
    assert answer.status_code == 200, answer.text
    return dict(answer.json)


def put_records(app: Flask, space_id: str, count: int) -> list[str]:
    """Living projects of a space, past the engine; their ids, in order."""
    ids = sorted(new_id() for _ in range(count))
    stamps = {"created_at_ms": 1, "created_by": 2, "updated_at_ms": 1, "updated_by": 2}
    rows = [{"id": i, "user_id": space_id, "name": "Home", **stamps} for i in ids]
    with app.app_context():
        db.session.execute(insert(projects()), rows)
        db.session.commit()
    return ids


def records_of(app: Flask, space_id: str) -> list[Any]:
    """The projects of a space, tombstones too, by id."""
    table = projects()
    query = select(table).where(table.c.user_id == space_id).order_by(table.c.id)
    with app.app_context():
        return list(db.session.execute(query))


def projects() -> Table:
    return db.metadata.tables["projects"]
