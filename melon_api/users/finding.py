"""Which account is meant, as operators and files name one: by its id or its address."""

from collections.abc import Collection

from marshmallow import ValidationError
from sqlalchemy import or_, select

from melon_api.auth.schemas import EmailAddress
from melon_api.errors import NotFound
from melon_api.models.base import db
from melon_api.models.user import User
from melon_api.storage.transactions import snapshot

NAMES_PER_QUERY = 500


def find(email_or_id: str) -> str:
    """The account's id. Raises NotFound."""
    key = email_or_id.strip()
    if found := find_all([key]).get(key):
        return found
    raise NotFound(f"There is no account {key}.")


def find_all(names: Collection[str]) -> dict[str, str]:
    """{name: id} of the names that are an account's, by its id or its address as a sign-in
    compares it."""
    found: dict[str, str] = {}
    ordered = list(names)
    for start in range(0, len(ordered), NAMES_PER_QUERY):
        some = ordered[start : start + NAMES_PER_QUERY]
        stored = {name: _as_stored(name) for name in some}
        ids = [name for name in some if name.isascii()]  # see auth.sessions.named
        which = or_(User.id.in_(ids), User.email.in_(list(stored.values())))
        with snapshot(db.engine) as connection:
            rows = connection.execute(select(User.id, User.email).where(which)).all()
        by_id, by_email = {row.id for row in rows}, {row.email: row.id for row in rows}
        for name, email in stored.items():
            account_id = name if name in by_id else by_email.get(email)
            found |= {name: account_id} if account_id else {}
    return found


def _as_stored(email: str) -> str:
    try:
        return str(EmailAddress().deserialize(email))
    except ValidationError:
        return email
