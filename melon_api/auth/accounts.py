"""An account's row: how it is locked, changed, remembered by the cache; and who calls for it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from flask import current_app
from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select
from sqlalchemy.exc import IntegrityError

from melon_api.errors import AccountDisabled, EmailTaken, TokenRevoked
from melon_api.models.base import new_id, utc_now
from melon_api.models.session import Session
from melon_api.models.user import NO_PASSWORD, Identity, Revocation, User
from melon_api.storage.cache import Moment, Put, cache
from melon_api.storage.transactions import Unit

PROFILE = "profile"  # the cache's name for it
REVOKING = "revoking"  # the application's name for what tells providers
GONE = 2**53 - 1  # a version that no change reaches: the account is deleted


@dataclass(frozen=True)
class Profile:
    """What is told of an account without asking the database."""

    id: str
    email: str | None
    name: str | None
    is_active: bool
    created_at: datetime
    updated_at: datetime
    email_verified_at: datetime | None
    providers: str
    has_password: bool

    @property
    def identities(self) -> list[str]:
        """The providers that know them."""
        return [name for name in self.providers.split(",") if name]

    @property
    def email_verified(self) -> bool:
        return self.email_verified_at is not None

    @property
    def is_guest(self) -> bool:
        """Contract, Accounts 18: nothing but its sessions leads into the account."""
        return self.email is None and not self.has_password and not self.providers

    @classmethod
    def of(cls, row: Row[Any] | User) -> "Profile":
        """From an account, or a row that holds `PROFILE_COLUMNS`."""
        return cls(**{name: getattr(row, name) for name in COLUMNS})

    @classmethod
    def from_cache(cls, value: Any) -> "Profile | None":
        """None when there is none, or one that another release wrote."""
        if not isinstance(value, dict) or value.keys() != set(COLUMNS):
            return None
        times = {k: datetime.fromisoformat(v) for k, v in value.items() if v and k.endswith("_at")}
        return cls(**value | times)

    def put(self, version: int, as_of: Moment) -> Put:
        """As the cache keeps it; `version` is that of the row it was read from."""
        return Put(PROFILE, version, vars(self), as_of)


COLUMNS = tuple(field.name for field in fields(Profile))
_stored = User.__table__.c
PROFILE_COLUMNS = [
    *_stored[tuple(name for name in COLUMNS if name in _stored)],
    (_stored.password != NO_PASSWORD).label("has_password"),
    _stored.version,
]


@dataclass(frozen=True)
class Caller:
    """Who makes a request. The account's id is the token's; `device` is the session's, as the
    number that records carry (sessions.device_number). `clock`: the account's sync clock, if
    the database had to be asked for the session."""

    user_id: str
    session_id: str
    device: int
    profile: Profile | None = None
    clock: int | None = None


def is_verified_enough(who: Caller, config: Mapping[str, Any]) -> bool:
    """Whether the address is verified, where REQUIRE_VERIFIED_EMAIL wants that."""
    if not config["REQUIRE_VERIFIED_EMAIL"]:
        return True
    return who.profile is not None and who.profile.email_verified_at is not None


def lock_account(unit: Unit, user_id: str) -> User:
    """The account, locked until the transaction ends. Raises TokenRevoked when it is gone.

    Must be the transaction's first statement: an earlier read would fix its snapshot.
    """
    query = select(User).where(User.id == user_id).with_for_update()
    user: User | None = unit.scalar(query.execution_options(populate_existing=True))
    if user is None:
        raise TokenRevoked("This account does not exist any more.")
    return user


def lock_caller(unit: Unit, caller: Caller) -> User:
    """The same for a change that the caller asks for. Raises TokenRevoked, AccountDisabled.

    What the guard found may be over by now: the session has ended, say because the account's owner
    has proved the address, and a request in flight must not change what is theirs.
    """
    user = lock_account(unit, caller.user_id)
    check_session(unit.connection(), caller)
    if not user.is_active:
        raise AccountDisabled
    return user


def check_session(connection: Connection, caller: Caller) -> None:
    """Raises TokenRevoked where the caller's session has ended; it lives until the transaction ends
    otherwise."""
    living = (Session.id == caller.session_id, Session.revoked_at.is_(None))
    if connection.scalar(select(Session.id).where(*living).with_for_update()) is None:
        raise TokenRevoked


def change(user: User, **values: Any) -> None:
    """Change a locked account, and see to it that the cache gives nobody the older one any more."""
    for name, value in values.items():
        setattr(user, name, value)
    user.version += 1
    cache().invalidate(user.id, {PROFILE: user.version})


def void_identities(connection: Connection, which: ColumnElement[bool]) -> list[str]:
    """These identities go, in the caller's transaction: the names of what is to be revoked at their
    providers once it is committed (passwordless/oidc/grants.py:settle, `revoke`)."""
    c = Identity.__table__.c
    query = select(c.provider, c.client_id, c.refresh_token)
    found = connection.execute(query.where(which, c.refresh_token.is_not(None))).all()
    rows = [{"id": new_id(), "created_at": utc_now(), **row._mapping} for row in found]
    if rows:
        connection.execute(insert(Revocation.__table__), rows)
    connection.execute(delete(Identity.__table__).where(which))
    return [row["id"] for row in rows]


def revoke(names: list[str]) -> None:
    """The same for who knows nothing of providers: the application does."""
    current_app.extensions[REVOKING](names)


@contextmanager
def unique_address() -> Iterator[None]:
    """Around a transaction that stores an address. Raises EmailTaken when another account has
    it."""
    try:
        yield
    except IntegrityError:
        raise EmailTaken from None
