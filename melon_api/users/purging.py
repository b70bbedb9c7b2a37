"""Guests of whom nobody has heard for long: their accounts go with `flask sync purge`."""

from collections.abc import Iterator

from flask import Flask, current_app
from sqlalchemy import Connection, and_, select

from melon_api.audit import Event, record
from melon_api.errors import NotFound
from melon_api.models.base import db, now_ms
from melon_api.models.user import NO_PASSWORD, User
from melon_api.storage.transactions import snapshot
from melon_api.sync.cli import PURGES
from melon_api.users.deletion import end_account

ACCOUNTS_PER_QUERY = 500
_is_guest = and_(User.email.is_(None), User.password == NO_PASSWORD, User.providers == "")


def init_app(app: Flask) -> None:
    app.extensions.setdefault(PURGES, []).append(_told)


def _told(is_dry: bool) -> str:
    count = purge_guests(dry_run=is_dry)
    return f"{'Would remove' if is_dry else 'Removed'} {count} guests."


def purge_guests(*, dry_run: bool = False) -> int:
    """Remove the guests without a push for GUEST_LIFETIME_DAYS: how many. An account's clock is
    never before its newest push, or its beginning; a phone may have raised it to a day ahead of
    that moment (contract pull 1), and shared spaces tick it: such a guest stays for longer."""
    before = now_ms() - int(current_app.config["GUEST_LIFETIME"].total_seconds() * 1000)
    count = 0
    for user_id in _silent(before):
        count += dry_run or _removed(user_id, before)
    return count


def _silent(before: int) -> Iterator[str]:
    last = ""
    query = select(User.id).where(_is_guest, User.sync_clock < before).order_by(User.id)
    while True:
        with snapshot(db.engine) as connection:
            page = query.where(User.id > last).limit(ACCOUNTS_PER_QUERY)
            ids = list(connection.scalars(page))
        yield from ids
        if not ids:
            return
        last = ids[-1]


def _removed(user_id: str, before: int) -> bool:
    """Not one who has pushed, or become somebody, since it was looked for."""

    def confirm(connection: Connection) -> None:
        still = select(User.id).where(User.id == user_id, _is_guest, User.sync_clock < before)
        if connection.scalar(still) is None:
            raise NotFound

    try:
        end_account(user_id, confirm)
    except NotFound:
        return False
    record(Event.DELETED, user_id)
    return True
