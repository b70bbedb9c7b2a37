"""Accounts from another server, with the hashes that it had of their passwords."""

import itertools
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from marshmallow import Schema, ValidationError, fields, validate
from sqlalchemy import insert, or_, select
from sqlalchemy.exc import IntegrityError

from melon_api.audit import Event, record
from melon_api.auth.passwords.foreign import accepted
from melon_api.auth.schemas import EmailAddress, Name
from melon_api.loading.lines import read
from melon_api.loading.report import Report
from melon_api.models.base import db, new_id, utc_now
from melon_api.models.space import CATALOGUE, Space
from melon_api.models.user import NAME_LENGTH, NO_PASSWORD, User
from melon_api.refusals import places
from melon_api.storage.transactions import snapshot, unit_of_work
from melon_api.sync.rules.body import BAD_ID
from melon_api.sync.rules.tables import ID

PER_TRANSACTION = 500
ATTEMPTS = 5  # somebody may register with one of the addresses at this very moment


class PasswordHash(fields.String):
    """Of bcrypt or Argon2, as it is stored."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        try:
            return accepted(super()._deserialize(value, *args, **kwargs))
        except ValueError as error:
            raise ValidationError(str(error)) from None


class AccountSchema(Schema):
    email = EmailAddress(required=True)
    name = Name(NAME_LENGTH, load_default=None)
    password_hash = PasswordHash(load_default=None, allow_none=True)
    verified = fields.Boolean(truthy={True}, falsy={False}, load_default=False)
    id = fields.String(validate=validate.Regexp(ID, error=BAD_ID[0]))


class Entry(NamedTuple):
    number: int
    account: dict[str, Any]


def load(file: BinaryIO, report: Report, *, dry_run: bool = False) -> tuple[int, int]:
    """Open the accounts that are not there: (how many, how many were). One that is there stays as
    it is: its person may have another password by now."""
    made = known = 0
    entries = _good(file, report)
    try:
        while some := list(itertools.islice(entries, PER_TRANSACTION)):
            opened, there = _open(some, report, dry_run)
            made, known = made + opened, known + there
            report.moved(1, 1)
    finally:  # what was opened before it was cut off stays
        if made and not dry_run:
            record(Event.ACCOUNTS_LOADED, None, count=made)
    return made, known


def _good(file: BinaryIO, report: Report) -> Iterator[Entry]:
    schema, seen = AccountSchema(), set[int]()  # of the addresses a hash each, 64 bits
    for line in read(file, report):
        try:
            account = schema.load(line.value)
        except ValidationError as error:
            report(line.number, "; ".join(places(error.messages_dict)))
            continue
        if (key := hash(account["email"])) in seen:
            report(line.number, "email: that of a line above")
        else:
            seen.add(key)
            yield Entry(line.number, account)


def _open(entries: list[Entry], report: Report, dry_run: bool) -> tuple[int, int]:
    for attempt in range(1, ATTEMPTS + 1):
        new, wrong = _sorted_out(entries)
        try:
            if new and not dry_run:
                rows = [_row(account) for account in new]
                unit_of_work(lambda unit: unit.execute(insert(User), rows))  # noqa: B023
            break
        except IntegrityError:  # somebody has registered with one of them meanwhile
            if attempt == ATTEMPTS:
                raise
    for number, sentence in wrong.items():
        report(number, sentence)
    return len(new), len(entries) - len(new) - len(wrong)


def _sorted_out(entries: list[Entry]) -> tuple[list[dict[str, Any]], dict[int, str]]:
    """The accounts to open, and what is wrong with others, by line."""
    by_email, by_id, spaces = _stored([entry.account for entry in entries])
    new: dict[str, dict[str, Any]] = {}
    wrong: dict[int, str] = {}
    for number, account in entries:
        email, account_id = account["email"], account.setdefault("id", None) or new_id()
        owner = by_email.get(email)
        if owner and account["id"] not in (None, owner):
            wrong[number] = f"email: the account {owner} has it, and the line another id"
        elif not owner and account_id in spaces:
            wrong[number] = "id: that of a shared space"
        elif not owner and (account_id in by_id or account_id in new):
            wrong[number] = "id: that of another account"
        elif not owner:
            new[account_id] = account | {"id": account_id}
    return list(new.values()), wrong


def _stored(accounts: list[dict[str, Any]]) -> tuple[dict[str, str], set[str], set[str]]:
    """{address: id} of those that are there, the ids that are taken, and those of spaces, which no
    account's own space may have."""
    emails = [account["email"] for account in accounts]
    ids = [account["id"] for account in accounts if account.get("id")]
    which = or_(User.email.in_(emails), User.id.in_(ids))
    with snapshot(db.engine) as connection:
        rows = connection.execute(select(User.id, User.email).where(which)).all()
        spaces = {CATALOGUE, *connection.scalars(select(Space.id).where(Space.id.in_(ids)))}
    return {row.email: row.id for row in rows}, {row.id for row in rows}, spaces


def _row(account: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": account["id"],
        "email": account["email"],
        "name": account["name"],
        "password": account["password_hash"] or NO_PASSWORD,
        "email_verified_at": utc_now() if account["verified"] else None,
    }
