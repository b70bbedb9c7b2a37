"""The server's own changes of an account's records, through the same pipeline as a push's."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, select

from melon_api.errors import NotFound, Refused, TokenRevoked, Unavailable
from melon_api.logic.account import Account
from melon_api.logic.desk import Desk, server_merge
from melon_api.logic.run import ask_all, held
from melon_api.models.base import db
from melon_api.models.user import User
from melon_api.storage.cache import Untold, cache
from melon_api.storage.engine import statement_bytes
from melon_api.storage.transactions import looking, snapshot, writing
from melon_api.sync.commit.writing import write_merge
from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules.history import SERVER, Run
from melon_api.sync.rules.merge import Merge
from melon_api.sync.sql import clock

ACCOUNTS_PER_QUERY = 500


@contextmanager
def changes(account_id: str, *, dry_run: bool = False) -> Iterator[Account]:
    """Change records of an account, all or nothing: what is done in the block is stored at its end,
    at one tick of the account's clock, and phones get it as from another device. The account is
    locked meanwhile. An exception in the block stores nothing; a `dry_run` asks the rules, too, and
    stores nothing either.

    Raises NotFound for an account that is not there, Refused with {table: {id: …}} when a rule of
    the app says no, RuntimeError inside of another block of the same account or of a rule that is
    asked about it, Unavailable when Redis cannot be told; nothing is stored then. A database that
    had to choose between two transactions raises SQLAlchemy's DBAPIError, and the whole may be done
    again."""
    if account_id in held.get():
        raise RuntimeError("this account is being changed already: use the one at hand")
    token = held.set(held.get() | {account_id})
    try:
        with (looking if dry_run else writing)(db.engine) as connection:
            desk = _desk(connection, account_id)
            account = Account(desk, None, None)
            yield account
            desk.raise_outage()
            ask_all(desk, account)
            _raise_refused(desk)
            if not dry_run:
                store(connection, account_id, desk.merge)
    except Untold as untold:
        untold.warn()
        raise Unavailable("Redis could not be told; nothing was stored.") from untold
    finally:
        held.reset(token)
    cache().flush()


def account_ids(after: str = "") -> Iterator[str]:
    """The ids of all accounts, in their order, read in batches; `after`: where to go on. What is
    deleted on the way may be among them, what is opened may not."""
    while True:
        query = select(User.id).where(User.id > after).order_by(User.id).limit(ACCOUNTS_PER_QUERY)
        with snapshot(db.engine) as connection:
            ids = list(connection.scalars(query))
        if not ids:
            return
        yield from ids
        after = ids[-1]


def _desk(connection: Connection, account_id: str) -> Desk:
    try:
        held = clock.lock(connection, account_id)
    except TokenRevoked:
        raise NotFound(f"There is no account {account_id!r}.") from None
    tick = clock.next_tick(held, held.value)
    merge = server_merge({}, tick, statement_bytes(connection))
    return Desk(connection, account_id, synced_tables(), merge, [])


def _raise_refused(desk: Desk) -> None:
    if desk.refused:
        errors: dict[str, dict[str, object]] = {}
        for place, messages in desk.refused:
            errors.setdefault(place.table, {})[place.id] = messages
        raise Refused(errors=errors)


def store(connection: Connection, account_id: str, merge: Merge) -> None:
    """What the server has changed of an account that is locked, at the tick of `merge`."""
    is_written, _ = write_merge(connection, account_id, merge)
    if is_written:
        clock.write(connection, account_id, merge.tick, Run(SERVER, merge.tick))
