"""An account's devices, as an operator sees them: a line of text for each."""

from sqlalchemy import select

from melon_api.models.base import db, utc_now
from melon_api.models.session import Session


def sessions(user_id: str) -> list[Session]:
    """All sessions that are still stored, the newest first, ended ones too."""
    query = select(Session).where(Session.user_id == user_id).order_by(Session.created_at.desc())
    return list(db.session.scalars(query))


def line(session: Session) -> str:
    """Whether it is signed in, when it was heard of, and what it is called."""
    name = printable(session.device_name or session.user_agent or "-")
    return f"{_state(session)}  last used {session.last_used_at:%Y-%m-%d %H:%M}  {name}"


def printable(text: str) -> str:
    """A device's name may hold anything, a forged line too."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _state(session: Session) -> str:
    if session.revoked_at is not None:
        return "signed out"
    return "over" if session.expires_at <= utc_now() else "signed in"
