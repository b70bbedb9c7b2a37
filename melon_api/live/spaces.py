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
from melon_api.sync.sql import clock
from melon_api.sync.sql.clock import AccountClock

Clocks = Mapping[str, AccountClock]  # by space
MOST_AT_ONCE = 500  # sessions


def read(app: Flask, sessions: Collection[tuple[str, str]]) -> dict[str, Clocks]:
    """Of these sessions, each with its account, those that live, with the clocks of all spaces that
    the account has. At most MOST_AT_ONCE. Raises SQLAlchemyError."""
    with app.app_context(), snapshot(db.engine) as connection:
        living = _living(connection, [session_id for session_id, _ in sessions])
        accounts = {user_id for session_id, user_id in sessions if session_id in living}
        clocks = clocks_of(connection, accounts)
    return {i: clocks[user_id] for i, user_id in sessions if i in living and user_id in clocks}


def _living(connection: Connection, session_ids: Collection[str]) -> set[str]:
    """Neither ended nor over, and of an account that is not disabled."""
    query = (
        select(Session.id)
        .join(User, User.id == Session.user_id)
        .where(Session.id.in_(session_ids), is_usable(), User.is_active)
    )
    return set(connection.scalars(query))


def clocks_of(connection: Connection, user_ids: Collection[str]) -> dict[str, Clocks]:
    """The spaces of these accounts, and their clocks: each has its own, which has its id."""
    columns: Any = (User.id, *clock.COLUMNS, *clock.RUN)
    rows = connection.execute(select(*columns).where(User.id.in_(user_ids)))
    return {
        user_id: {user_id: clock.with_run(value, purged, str(opened), *run)}
        for user_id, value, purged, opened, *run in rows
    }


def known_at(clocks: Clocks, user_id: str, since: int) -> dict[str, int]:
    """What a pull's `timestamp` says of each space: how far its clock was then. One ahead of the
    clock (contract pull 1) says no more than the clock does."""
    return {user_id: min(since, clocks[user_id].value)}


def has_news(held: AccountClock, session: int, known: int) -> bool:
    """Whether a pull of a session that had all up to `known` would tell something that it did not
    push itself (push 7), or be a replacement (pull 7)."""
    return 0 < known < held.purged or not held.is_known_to(session, known)
