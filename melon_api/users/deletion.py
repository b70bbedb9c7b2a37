"""The end of an account: everything that is stored of it, in one transaction."""

from collections.abc import Callable
from functools import partial
from typing import Protocol, cast

from flask import Flask, current_app
from sqlalchemy import Connection, delete, select

from melon_api.auth.accounts import GONE, PROFILE, void_identities
from melon_api.history.table import SyncCall
from melon_api.models.alteration import Alteration
from melon_api.models.base import db
from melon_api.models.mailed_token import MailedCode, MailedToken
from melon_api.models.outbox import EventQueue, OutboxEvent
from melon_api.models.session import Session
from melon_api.models.synced import Adoption
from melon_api.models.user import Identity, User
from melon_api.passwordless.oidc import grants
from melon_api.spaces.changing import Held, Wanted, changing
from melon_api.storage.cache import cache
from melon_api.storage.transactions import retrying
from melon_api.sync.discovery import synced_tables
from melon_api.sync.sql import deletions

EXTENSION = "departures"
OWNED = (Adoption, Alteration, EventQueue, OutboxEvent, Session, MailedToken, SyncCall)


class Departure(Protocol):
    """What became of an account's spaces."""

    def tell(self) -> None: ...


class Departures(Protocol):
    """How an account leaves its spaces to the others (melon_api/spaces/departures.py)."""

    def concerned(self, connection: Connection, user_id: str) -> Wanted: ...

    def depart(self, held: Held, user_id: str) -> Departure: ...


def init_app(app: Flask, departures: Departures) -> None:
    app.extensions[EXTENSION] = departures


def end_account(user_id: str, confirm: Callable[[Connection], None] = lambda _: None) -> None:
    """The one way an account goes: for good, with all its data; what it shared is the others'
    (contract, Spaces 7). `confirm` is asked when the account is held; what it raises leaves
    all as it is. What a provider gave for it is revoked there."""

    departures = cast(Departures, current_app.extensions[EXTENSION])

    def work(held: Held) -> tuple[Departure, list[str]]:
        held.check(user_id)
        confirm(held.connection)
        gone = departures.depart(held, user_id)
        return gone, _erase(held.connection, user_id)

    plan = partial(departures.concerned, user_id=user_id)
    gone, to_revoke = retrying(lambda: changing(db.engine, plan, work))
    gone.tell()
    grants.settle(to_revoke)


def _erase(connection: Connection, user_id: str) -> list[str]:
    """Everything that is stored of it; what is to be revoked elsewhere."""
    to_revoke = void_identities(connection, Identity.user_id == user_id)
    email = connection.scalar(select(User.email).where(User.id == user_id))
    connection.execute(delete(MailedCode).where(MailedCode.email == email))
    deletions.delete_all(connection, synced_tables().values(), user_id)
    for model in OWNED:
        connection.execute(delete(model).where(model.user_id == user_id))
    connection.execute(delete(User).where(User.id == user_id))
    cache().invalidate(user_id, {PROFILE: GONE})
    return to_revoke
