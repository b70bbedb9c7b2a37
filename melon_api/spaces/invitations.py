"""Invitations: tokens that let somebody in, in the role that they say. Only a token's SHA-256 is
stored. Each is its owner's word: it works for as long as that one owns the space."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select

from melon_api.audit import Event, record
from melon_api.auth.accounts import Caller, check_session
from melon_api.auth.tokens import digest
from melon_api.errors import NotFound, Unavailable, ValidationFailed
from melon_api.mail.message import send
from melon_api.mail.outbox import outbox
from melon_api.models.base import db, new_id, utc_now
from melon_api.models.space import Invitation
from melon_api.spaces.access import check_owner
from melon_api.spaces.changing import Held, by_owner, changing
from melon_api.storage.transactions import retrying, snapshot

LIFETIME = timedelta(days=7)
NO_MAIL = {"email": ["This server sends no mail; hand the token over in another way."]}
MAIL = "invitation"  # its template
_invitations = Invitation.__table__.c


@dataclass(frozen=True)
class Invited:
    """`token` is there once, in the answer to who made it, unless it was mailed."""

    id: str
    role: str
    email: str | None
    expires_at: datetime
    token: str | None = None


def invite(caller: Caller, space_id: str, role: str, email: str | None = None) -> Invited:
    """A token for whoever is given it, or, by mail, for the account of this address. Raises
    NotFound, Forbidden; ValidationFailed where the server sends no mail, Unavailable where too many
    wait, and then nobody is invited."""
    if email is not None and outbox().is_mute:
        raise ValidationFailed(NO_MAIL)
    token, now = secrets.token_urlsafe(32), utc_now()
    invited = Invited(new_id(), role, email, now + LIFETIME, None if email else token)

    def work(held: Held) -> None:
        check_session(held.connection, caller)  # or a stranger's outlives the owner's proof
        late = (_invitations.space_id == space_id, _invitations.expires_at < now)
        held.connection.execute(delete(Invitation).where(*late, _invitations.used_by.is_(None)))
        row = vars(invited) | {"space_id": space_id, "digest": digest(token)}
        del row["token"]
        values = row | {"created_by": caller.user_id, "created_at": now}
        held.connection.execute(insert(Invitation).values(values))

    retrying(lambda: changing(db.engine, by_owner(caller, space_id), work))
    if email is not None and not outbox().post(lambda: send(MAIL, email, token)):
        revoke(caller, space_id, invited.id)
        raise Unavailable("Too many mails wait to be sent.")
    facts = {"space_id": space_id, "invitation_id": invited.id, "role": role}
    record(Event.INVITED, caller.user_id, caller.session_id, **facts)
    return invited


def list_invitations(caller: Caller, space_id: str) -> list[Invited]:
    """Those that still work, the oldest first. Raises NotFound, Forbidden."""
    columns = [_invitations[name] for name in ("id", "role", "email", "expires_at")]
    works = (_invitations.used_by.is_(None), _invitations.expires_at > utc_now())
    query = select(*columns).where(_invitations.space_id == space_id, *works)
    with snapshot(db.engine) as connection:
        check_owner(connection, caller.user_id, space_id)
        rows = connection.execute(query.order_by(_invitations.expires_at, _invitations.id))
        return [Invited(*row) for row in rows]


def revoke(caller: Caller, space_id: str, invitation_id: str) -> None:
    """Raises NotFound, Forbidden. One that was used is none any more."""

    def work(held: Held) -> None:
        its = (_invitations.id == invitation_id, _invitations.space_id == space_id)
        gone = delete(Invitation).where(*its, _invitations.used_by.is_(None))
        if not (invitation_id.isascii() and held.connection.execute(gone).rowcount):
            raise NotFound("There is no such invitation to this space.")

    retrying(lambda: changing(db.engine, by_owner(caller, space_id), work))
    facts = {"space_id": space_id, "invitation_id": invitation_id}
    record(Event.INVITATION_REVOKED, caller.user_id, caller.session_id, **facts)
