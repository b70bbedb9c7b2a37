"""Which sessions live, which spaces their accounts have and where their clocks stand: of many at
once, with few statements."""

from collections.abc import Collection, Mapping
from typing import Any

from flask import Flask
from sqlalchemy import Connection, select

from melon_api.auth.sessions import is_usable
from melon_api.models.base import db
from melon_api.models.session import Session
from melon_api.models.user import User
from melon_api.storage.transactions import snapshot
from melon_api.sync.spaces import atlas
from melon_api.sync.spaces import clocks as space_clocks
from melon_api.sync.sql import clock
from melon_api.sync.sql.clock import AccountClock

Clocks = Mapping[str, AccountClock]  # by space
Known = dict[str, int]  # the same of one who streams: how far it has been told
MOST_AT_ONCE = 500  # sessions


def read(app: Flask, sessions: Collection[tuple[str, str]]) -> dict[str, Clocks]:
    """Of these sessions, each with its account, those that live, with the clocks of all spaces that
    the account has. At most MOST_AT_ONCE. Raises SQLAlchemyError."""
    with app.app_context(), snapshot(db.engine) as connection:
        living = _living(connection, [session_id for session_id, _ in sessions])
        accounts = {user_id for session_id, user_id in sessions if session_id in living}
        clocks = clocks_of(connection, accounts)
    return {i: clocks[user_id] for i, user_id in sessions if i in living and user_id in clocks}


def read_one(app: Flask, session_id: str, user_id: str, since: int) -> tuple[Clocks, Known] | None:
    """The same of one session, and what a pull's timestamp `since` stood for; None where it does
    not live."""
    with app.app_context(), snapshot(db.engine) as connection:
        found = clocks_of(connection, [user_id]).get(user_id)
        if found is None or not _living(connection, [session_id]):
            return None
        return found, known_at(connection, found, user_id, since)


def _living(connection: Connection, session_ids: Collection[str]) -> set[str]:
    """Neither ended nor over, and of an account that is not disabled."""
    query = (
        select(Session.id)
        .join(User, User.id == Session.user_id)
        .where(Session.id.in_(session_ids), is_usable(), User.is_active)
    )
    return set(connection.scalars(query))


def clocks_of(connection: Connection, user_ids: Collection[str]) -> dict[str, Clocks]:
    """The spaces of these accounts, and their clocks: the own one has the account's id."""
    columns: Any = (User.id, *clock.COLUMNS, *clock.RUN)
    rows = connection.execute(select(*columns).where(User.id.in_(user_ids)))
    found: dict[str, dict[str, AccountClock]] = {
        user_id: {user_id: clock.with_run((value, purged, beyond, str(opened), *run))}
        for user_id, value, purged, beyond, opened, *run in rows
    }
    for user_id, space_id, value, purged in space_clocks.clocks_of(connection, found):
        found[user_id][space_id] = AccountClock(value, purged, 0, "")
    return dict(found)


def known_at(connection: Connection, clocks: Clocks, user_id: str, since: int) -> Known:
    """What a pull's `timestamp` says of each space: how far its clock was then. One ahead of the
    clock (contract pull 1) says no more than the clock does."""
    own = clocks[user_id]
    if not own.beyond:
        return {user_id: min(since, own.value)}
    known = atlas.read(connection, user_id, own, since)
    others = {space.id: space.since or 0 for space in known.members}
    return {user_id: min(known.own_since, own.value)} | others


def has_news(held: AccountClock, session: int, known: int) -> bool:
    """Whether a pull of a session that had all up to `known` would tell something that it did not
    push itself (push 7), or be a replacement (pull 7)."""
    return 0 < known < held.purged or not held.is_known_to(session, known)
