"""Sessions: a row for each device that is signed in, and who may act by it."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from flask import current_app
from sqlalchemy import ColumnElement, Engine, and_, delete, false, insert, or_, select, update

from melon_api.audit import Event, record
from melon_api.auth import tokens
from melon_api.auth.accounts import Caller, Profile, change, lock_caller, void_identities
from melon_api.auth.tokens import TokenPair
from melon_api.errors import NotFound
from melon_api.models.base import db, new_id, utc_now
from melon_api.models.mailed_token import MailedCode, MailedToken
from melon_api.models.session import LABEL_LENGTH, Session
from melon_api.models.space import Invitation, Membership
from melon_api.models.user import NO_PASSWORD, Identity, User
from melon_api.storage.cache import cache
from melon_api.storage.transactions import Unit, snapshot, unit_of_work, writing

ROWS_PER_TRANSACTION = 1_000
LIVING, ENDED = 0, 1  # a session's versions: it ends once
NO_SESSION = "There is no such session of yours."


@dataclass(frozen=True)
class Device:
    """What a phone says of itself when it signs in; `key` is the contract's `device_id`."""

    key: str | None = None
    name: str | None = None
    user_agent: str | None = None


class SignedIn(NamedTuple):
    """A sign-in that has just been made."""

    user: Profile
    tokens: TokenPair
    session_id: str

    @property
    def answer(self) -> dict[str, Any]:
        """As `SignedInSchema` writes it."""
        return {**vars(self.tokens), "user": self.user}


@dataclass(frozen=True)
class SignIn:
    """A device that is signed in, as its owner sees it; `current` is the one that asks."""

    id: str
    device_name: str | None
    user_agent: str | None
    created_at: datetime
    last_used_at: datetime
    current: bool


def open_session(unit: Unit, user_id: str, device: Device) -> tuple[TokenPair, str]:
    """Sign a device in, in the caller's transaction, which holds the account: tokens and id."""
    session_id, now = new_id(), utc_now()
    session = Session(
        id=session_id,
        user_id=user_id,
        device=device_key(device.key, session_id, user_id),
        device_name=device.name,
        user_agent=device.user_agent[:LABEL_LENGTH] if device.user_agent else None,
        generation=0,
        used_generation=0,
        push_number=0,
        rotated_at=now,
        created_at=now,
        last_used_at=now,
        expires_at=now + current_app.config["SESSION_LIFETIME"],
    )
    pair = tokens.new_pair(session)
    columns = Session.__table__.c.keys()
    values = {name: getattr(session, name) for name in columns}
    unit.execute(insert(Session.__table__), values)  # the ORM's own would take twice as long
    return pair, session_id


def note_use(session_id: str, generation: int) -> None:
    """An access token of this generation is used: from now on the refresh token before it is
    theft (contract, Accounts 2). To be called before the answer; writes once for each refresh."""
    is_first = and_(Session.id == session_id, Session.used_generation < generation)
    used = update(Session).where(is_first).values(used_generation=generation)
    unit_of_work(lambda unit: unit.execute(used.execution_options(synchronize_session=False)))


def logout(caller: Caller) -> None:
    """Sign this device out; its tokens stop working at once."""
    ended = unit_of_work(lambda unit: end(unit, caller.user_id, Session.id == caller.session_id))
    _tell_ended(caller, ended)


def logout_all(caller: Caller) -> None:
    """Sign every device out."""

    def work(unit: Unit) -> list[str]:
        lock_caller(unit, caller)  # or a sign-in at this very moment would be overlooked
        return end(unit, caller.user_id)

    ended = unit_of_work(work)
    record(Event.SESSIONS_REVOKED, caller.user_id, caller.session_id, count=len(ended))


def end_session(caller: Caller, session_id: str) -> None:
    """Sign one of the account's devices out. Raises NotFound for one that is not the caller's."""
    one = and_(named(session_id), is_usable())
    ended = unit_of_work(lambda unit: end(unit, caller.user_id, one))
    if not ended:
        raise NotFound(NO_SESSION)
    _tell_ended(caller, ended)


def named(session_id: str) -> ColumnElement[bool]:
    """The session of this id. What cannot be an id is not compared: MySQL refuses to compare it
    with an ASCII column."""
    return Session.id == session_id if session_id.isascii() else false()


def _tell_ended(caller: Caller, ended: list[str]) -> None:
    for session_id in ended:
        record(Event.SESSION_REVOKED, caller.user_id, session_id, by_session=caller.session_id)


def end(unit: Unit, user_id: str, which: ColumnElement[bool] | None = None) -> list[str]:
    """Revoke those sessions of an account that live (all, or `which`), in the caller's
    transaction; their ids. The caller holds the account when it must not miss a new one."""
    mine = [Session.user_id == user_id, Session.revoked_at.is_(None)]
    mine += [] if which is None else [which]
    ids = list(unit.scalars(select(Session.id).where(*mine).with_for_update()))
    unit.execute(update(Session).where(Session.id.in_(ids)).values(revoked_at=utc_now()))
    invalidate(user_id, ids)
    return ids


def hand_over(
    unit: Unit, user: User, password: str = NO_PASSWORD, keep: tuple[str, str] | None = None
) -> list[str]:
    """A locked account, whose address was nobody's yet, is its prover's: what anybody set up before
    is void, a stranger may have registered the address (contract, Accounts 16). All but `keep`, the
    account's identity (provider, subject) that proves it. What is to be revoked (accounts.py)."""
    providers = keep[0] if keep else ""
    change(user, password=password, providers=providers, email_verified_at=utc_now())
    others = Identity.user_id == user.id
    if keep:
        others &= or_(Identity.provider != keep[0], Identity.subject != keep[1])
    to_revoke = void_identities(unit.connection(), others)
    unit.execute(delete(MailedToken).where(MailedToken.user_id == user.id))
    unit.execute(delete(MailedCode).where(MailedCode.email == user.email))
    end(unit, user.id)  # before the invitations: none is made by these sessions from now on
    mine = select(Membership.space_id).where(Membership.user_id == user.id)
    if spaces := list(unit.scalars(mine)):
        words = (Invitation.space_id.in_(spaces), Invitation.created_by == user.id)
        unit.execute(delete(Invitation).where(*words, Invitation.used_by.is_(None)))
    return to_revoke


def sign_ins(caller: Caller, *, ended: bool = False) -> list[SignIn]:
    """The account's sessions that can still be used, the newest first; or all that are stored."""
    query = select(Session).where(Session.user_id == caller.user_id)
    query = query if ended else query.where(is_usable())
    query = query.order_by(Session.created_at.desc(), Session.id)
    return [_sign_in(session, caller) for session in db.session.scalars(query)]


def _sign_in(session: Session, caller: Caller) -> SignIn:
    return SignIn(
        id=session.id,
        device_name=session.device_name,
        user_agent=session.user_agent,
        created_at=session.created_at,
        last_used_at=session.last_used_at,
        current=session.id == caller.session_id,
    )


def is_usable() -> ColumnElement[bool]:
    """Neither revoked nor over, and its refresh token is still good."""
    now, unused = utc_now(), current_app.config["REFRESH_TOKEN_LIFETIME"]
    return and_(
        Session.revoked_at.is_(None), Session.expires_at > now, Session.rotated_at > now - unused
    )


def clean_up(engine: Engine, before: datetime, *, dry_run: bool = False) -> tuple[int, int]:
    """Delete the sessions that ended before this moment, and the mailed tokens, codes and
    invitations that expired: how many of each. In small steps, while people sign in."""
    unused = before - current_app.config["REFRESH_TOKEN_LIFETIME"]
    is_over = or_(
        Session.revoked_at < before, Session.expires_at < before, Session.rotated_at < unused
    )
    mailed = [(MailedToken.__table__.c, "digest"), (MailedCode.__table__.c, "email")]
    mailed.append((Invitation.__table__.c, "id"))
    counts = [_delete(engine, Session.__table__.c.id, is_over, dry_run=dry_run)]
    counts += [_delete(engine, c[key], c.expires_at < before, dry_run=dry_run) for c, key in mailed]
    return counts[0], sum(counts[1:])


def _delete(engine: Engine, key: Any, condition: ColumnElement[bool], *, dry_run: bool) -> int:
    count, last = 0, ""
    while keys := _next_keys(engine, key, condition, last):
        count, last = count + len(keys), keys[-1]
        if not dry_run:
            with writing(engine) as connection:
                connection.execute(delete(key.table).where(key.in_(keys), condition))
    return count


def _next_keys(engine: Engine, key: Any, condition: ColumnElement[bool], last: str) -> list[str]:
    query = select(key).where(key > last, condition).order_by(key).limit(ROWS_PER_TRANSACTION)
    with snapshot(engine) as connection:
        return list(connection.scalars(query))


def device_key(device_id: str | None, session_id: str, user_id: str) -> str:
    """The phone behind a session (contract, Accounts 4): named by the app, or this session alone;
    in two name spaces. Two people on one phone, with a database each, are two devices."""
    if not device_id:
        return f"s.{session_id}"
    return f"d.{hashlib.sha256(f'{user_id}.{device_id}'.encode()).hexdigest()}"


def device_number(key: str) -> int:
    """A device in 63 bits: records carry two of them, so it is short; the devices
    of people who share are far too few to have one in common by chance."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) >> 1


def session_number(session_id: str) -> int:
    """A session in the same numbers; that of a device which has no name but it."""
    return device_number(device_key(None, session_id, ""))


def invalidate(user_id: str, session_ids: Iterable[str]) -> None:
    """Say, in the transaction that ends these sessions, that the cache knows them no more."""
    cache().invalidate(user_id, {cache_name(session_id): ENDED for session_id in session_ids})


def cache_name(session_id: str) -> str:
    return f"session:{session_id}"
