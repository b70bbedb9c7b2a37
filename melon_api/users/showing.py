"""One account, as an operator may see it: its ways in, devices and counts; nothing secret, and no
content."""

from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy import func, select

from melon_api.auth.accounts import Profile
from melon_api.errors import NotFound
from melon_api.models.base import db
from melon_api.models.user import User
from melon_api.storage.transactions import snapshot
from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules.tables import CATALOGUE


def show(user_id: str) -> Iterator[str]:
    """Lines of text. Raises NotFound."""
    user = db.session.get(User, user_id)
    if user is None:
        raise NotFound(f"There is no account {user_id}.")
    profile = Profile.of(user)
    verified = "verified" if profile.email_verified else "unverified"
    yield f"id            {user.id}"
    yield f"address       {f'{user.email} ({verified})' if user.email else '-'}"
    yield f"state         {'active' if user.is_active else 'inactive'}"
    yield f"since         {_moment(user.created_at)}"
    yield f"ways in       {', '.join(_ways(profile)) or 'none but its sessions: a guest'}"
    yield f"last change   {_moment(datetime.fromtimestamp(user.sync_clock / 1000, UTC))}"
    for name, living, deleted in _counts(user_id):
        yield f"records       {name}: {living}, and {deleted} deleted"


def _ways(profile: Profile) -> list[str]:
    found = ["password"] if profile.has_password else []
    found += ["mailed code"] if profile.email else []
    return found + profile.identities


def _counts(user_id: str) -> Iterator[tuple[str, int, int]]:
    with snapshot(db.engine) as connection:
        for name, synced in synced_tables().items():
            if synced.reach == CATALOGUE:  # everybody's, and so no account's
                continue
            c = synced.table.c
            query = select(c.is_deleted, func.count()).where(c.user_id == user_id)
            rows = connection.execute(query.group_by(c.is_deleted)).all()
            counts = {bool(is_deleted): count for is_deleted, count in rows}
            yield name, counts.get(False, 0), counts.get(True, 0)


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
