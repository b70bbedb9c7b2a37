"""What a job is given: what one commit did to one account, by id."""

from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Self

import orjson
from sqlalchemy import Row, select

from melon_api.auth.sessions import session_number
from melon_api.models.base import db
from melon_api.models.outbox import CREATED, DELETED, UPDATED, Ids
from melon_api.models.session import Session
from melon_api.storage.transactions import snapshot
from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules.history import SERVER
from melon_api.sync.sql.rows import read_rows


@dataclass(frozen=True)
class Event:
    """A commit, or a part of a large one; the same at every try.

    `clock` is the account's then, `committed_ms` the time, `session` the number of the session that
    pushed. `causes`: the jobs because of which it was written, the last one itself.
    """

    id: str
    account_id: str
    clock: int
    committed_ms: int
    session: int
    causes: tuple[str, ...]
    tables: Ids

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        """As it stands in the outbox."""
        return cls(
            id=row.id,
            account_id=row.user_id,
            clock=row.clock,
            committed_ms=row.created_at_ms,
            session=row.session,
            causes=tuple(orjson.loads(row.causes)),
            tables=orjson.loads(row.ids),
        )

    @property
    def is_server(self) -> bool:
        """Whether the app's own code changed the records, and no phone."""
        return self.session == SERVER

    @cached_property
    def session_id(self) -> str | None:
        """Which sign-in pushed; None where it was the server, or the session is gone."""
        if self.is_server:
            return None
        with snapshot(db.engine) as connection:
            mine = connection.scalars(select(Session.id).where(Session.user_id == self.account_id))
            return next((i for i in mine if session_number(i) == self.session), None)

    @property
    def created(self) -> list[str]:
        return self._ids(CREATED)

    @property
    def updated(self) -> list[str]:
        return self._ids(UPDATED)

    @property
    def deleted(self) -> list[str]:
        """With those that went because their parents did."""
        return self._ids(DELETED)

    def records(self) -> list[dict[str, Any]]:
        """The living ones among `created` and `updated`, as they are now and phones get them. What
        was deleted since is not there; what was changed since comes in a later event, too."""
        tables = synced_tables()
        wanted = {
            name: {*kinds.get(CREATED, ()), *kinds.get(UPDATED, ())}
            for name, kinds in self.tables.items()
            if name in tables  # else the app has dropped it since
        }
        with snapshot(db.engine) as connection:
            stored = read_rows(connection, tables, self.account_id, wanted)
        rows = chain.from_iterable(found.values() for found in stored.values())
        return [{"id": row.id, **row.values} for row in rows if not row.deleted]

    def _ids(self, kind: str) -> list[str]:
        return [i for kinds in self.tables.values() for i in kinds.get(kind, ())]
