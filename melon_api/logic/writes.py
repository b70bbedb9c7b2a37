"""The server's own changes of an account's records, through the same pipeline as a push's."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, select

from melon_api.errors import NotFound, Refused, TokenRevoked, Unavailable
from melon_api.logic.account import Account
from melon_api.logic.desk import Desk, server_merge
from melon_api.logic.run import ask_all, held
from melon_api.models.base import db
from melon_api.models.space import CATALOGUE, Space
from melon_api.models.user import User
from melon_api.storage.cache import Untold, cache
from melon_api.storage.engine import statement_bytes
from melon_api.storage.transactions import looking, snapshot, writing
from melon_api.sync.commit.writing import write_merge
from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules.history import SERVER, Run
from melon_api.sync.rules.merge import Merge
from melon_api.sync.rules.tables import OWN, SHARED
from melon_api.sync.spaces import clocks
from melon_api.sync.sql import clock

ACCOUNTS_PER_QUERY = 500


@contextmanager
def changes(account_id: str, *, dry_run: bool = False) -> Iterator[Account]:
    """Change records of an account, of a shared space by its id, or of the CATALOGUE, all or
    nothing: what is done in the block is stored at its end, at one tick of its clock, and phones
    get it as from another device. It is locked meanwhile. An exception in the block stores nothing;
    a `dry_run` asks the rules, too, and stores nothing either.

    Raises NotFound for what is not there, Refused with {table: {id: …}} when a rule of
    the app says no, RuntimeError inside of another block of the same account or of a rule that is
    asked about it, Unavailable when Redis cannot be told; nothing is stored then. A database that
    had to choose between two transactions raises SQLAlchemy's DBAPIError, and the whole may be done
    again."""
    if account_id in held.get():
        raise RuntimeError("this account is being changed already: use the one at hand")
    token = held.set(held.get() | {account_id})
    try:
        with (looking if dry_run else writing)(db.engine) as connection:
            desk, is_account = _desk(connection, account_id)
            account = Account(desk, None, None)
            yield account
            desk.raise_outage()
            ask_all(desk, account)
            _raise_refused(desk)
            if not dry_run:
                store(connection, account_id, desk.merge, is_account=is_account)
    except Untold as untold:
        untold.warn()
        raise Unavailable("Redis could not be told; nothing was stored.") from untold
    finally:
        held.reset(token)
    cache().flush()


def account_ids(after: str = "") -> Iterator[str]:
    """The ids of all accounts, in their order, read in batches; `after`: where to go on. What is
    deleted on the way may be among them, what is opened may not."""
    return _ids(User.id, after)


def space_ids(after: str = "") -> Iterator[str]:
    """The same of the shared spaces; the CATALOGUE is one."""
    return _ids(Space.id, after)


def _ids(key: Any, after: str) -> Iterator[str]:
    while True:
        query = select(key).where(key > after).order_by(key).limit(ACCOUNTS_PER_QUERY)
        with snapshot(db.engine) as connection:
            ids = list(connection.scalars(query))
        if not ids:
            return
        yield from ids
        after = ids[-1]


def lock(connection: Connection, account_id: str) -> tuple[int, bool]:
    """Hold an account or a space: (a tick of it, whether it is an account). Raises NotFound."""
    try:
        held = clock.lock(connection, account_id)
    except TokenRevoked:
        space = clocks.lock_one(connection, account_id)
        if space is None or space.deleted_at:
            raise NotFound(f"There is no account and no space {account_id!r}.") from None
        return clock.tick_after(space.sync_clock), False
    return clock.next_tick(held, held.value), True


def _desk(connection: Connection, account_id: str) -> tuple[Desk, bool]:
    tick, is_account = lock(connection, account_id)
    merge = server_merge({}, tick, statement_bytes(connection))
    reach = OWN if is_account else CATALOGUE if account_id == CATALOGUE else SHARED
    return Desk(connection, account_id, synced_tables(), merge, [], reach), is_account


def _raise_refused(desk: Desk) -> None:
    if desk.refused:
        errors: dict[str, dict[str, object]] = {}
        for place, messages in desk.refused:
            errors.setdefault(place.table, {})[place.id] = messages
        raise Refused(errors=errors)


def store(
    connection: Connection, account_id: str, merge: Merge, *, is_account: bool = True
) -> None:
    """What the server has changed of what is locked, at the tick of `merge`."""
    is_written, _ = write_merge(connection, account_id, merge)
    if is_written and is_account:
        clock.write(connection, account_id, merge.tick, Run(SERVER, merge.tick))
    elif is_written:
        clocks.write_clock(connection, account_id, merge.tick)
