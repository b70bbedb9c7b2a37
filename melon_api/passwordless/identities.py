"""Identities of providers: to sign in by one, to link one to an account, to take one away.

An identity is `(provider, sub)`, never an address: an address that its provider calls verified
proves whose an account is (entrance.py), any other proves nothing (contract, Accounts 15 and 16).
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sqlalchemy import and_, insert, select, update
from sqlalchemy.exc import IntegrityError

from melon_api.audit import Event, record
from melon_api.auth.accounts import (
    Caller,
    Profile,
    change,
    lock_account,
    lock_caller,
    void_identities,
)
from melon_api.auth.sessions import Device
from melon_api.errors import (
    AccountDisabled,
    IdentityTaken,
    InvalidCredentials,
    LastIdentity,
    NotFound,
    ValidationFailed,
)
from melon_api.models.base import utc_now
from melon_api.models.user import Identity, User
from melon_api.passwordless import entrance
from melon_api.passwordless.entrance import Entered, Entry, account_at
from melon_api.passwordless.oidc import grants, id_tokens
from melon_api.passwordless.oidc.keys import issuers
from melon_api.passwordless.oidc.provider import BadToken, Vouched
from melon_api.passwordless.sentences import BAD_TOKEN, HAS_ANOTHER, NO_PROVIDER, NOT_LINKED
from melon_api.storage.transactions import Unit, unit_of_work

T = TypeVar("T")
ATTEMPTS = 3  # somebody may open an account with the same address at this very moment
IDENTITIES = Identity.__table__


def sign_in(provider: str, body: Mapping[str, Any], device: Device) -> Entry:
    """Sign a device in by an identity, into the account that has it, whose address it proves, or a
    new one. Raises NotFound, InvalidCredentials, AccountDisabled, IdentityTaken, Unavailable."""
    try:
        vouched = _vouched(provider, body["id_token"], body["nonce"])
    except BadToken as error:
        record(Event.SIGN_IN_FAILED, None, reason="id_token", why=str(error))
        raise InvalidCredentials(BAD_TOKEN) from None

    granted = grants.exchanged(issuers()[provider], vouched, body["authorization_code"])

    def work(unit: Unit) -> Entry:
        entered = _entered(unit, vouched, body["name"])
        _keep(unit, vouched, granted)
        return entrance.sign_in(unit, entered, device)

    try:
        entry = _unhindered(work)
    except AccountDisabled:
        record(Event.SIGN_IN_FAILED, None, reason="disabled")
        raise
    return entry.settle(provider)


def link(
    caller: Caller, provider: str, token: str, nonce: str | None, code: str | None = None
) -> Profile:
    """Link an identity to the caller's account, once and for all: again is no news. An account
    without an address takes a verified one that is nobody's. Raises NotFound, ValidationFailed,
    IdentityTaken, Unavailable, TokenRevoked, AccountDisabled."""
    vouched = check_link(caller, provider, token, nonce)
    granted = grants.exchanged(issuers()[provider], vouched, code)

    def work(unit: Unit) -> Profile:
        user = lock_caller(unit, caller)
        owner = _owner(unit, vouched)
        if owner not in (None, user.id):
            raise IdentityTaken
        if owner is None:
            _link(unit, user, vouched)
            proved = vouched.verified_email
            if user.email is None and proved and account_at(unit, proved) is None:
                change(user, email=proved, email_verified_at=utc_now())
        _keep(unit, vouched, granted)
        unit.flush()
        return Profile.of(user)

    linked = _unhindered(work)
    record(Event.IDENTITY_LINKED, caller.user_id, caller.session_id, way=provider)
    return linked


def check_link(caller: Caller, provider: str, token: str, nonce: str | None) -> Vouched:
    """Whom the token vouches for. Raises NotFound, ValidationFailed, Unavailable."""
    try:
        return _vouched(provider, token, nonce)
    except BadToken as error:
        record(Event.PROOF_REFUSED, caller.user_id, caller.session_id, way=provider, why=str(error))
        raise ValidationFailed({"id_token": [BAD_TOKEN]}) from None


def unlink(caller: Caller, provider: str) -> None:
    """Take an identity away. Raises NotFound, LastIdentity where nothing else leads in,
    TokenRevoked, AccountDisabled."""

    def work(unit: Unit) -> list[str]:
        user = lock_caller(unit, caller)
        left = [name for name in Profile.of(user).identities if name != provider]
        if left == Profile.of(user).identities:
            raise NotFound(NOT_LINKED)
        if not (left or has_address_way(user)):
            raise LastIdentity
        mine = and_(Identity.user_id == user.id, Identity.provider == provider)
        to_revoke = void_identities(unit.connection(), mine)
        change(user, providers=",".join(left))
        return to_revoke

    grants.settle(unit_of_work(work))
    record(Event.IDENTITY_UNLINKED, caller.user_id, caller.session_id, way=provider)


def has_address_way(user: User) -> bool:
    """Whether the address leads in: with a password, or by codes where it is known to be theirs."""
    return user.email is not None and (user.has_password or user.email_verified_at is not None)


def _vouched(provider: str, token: str, nonce: str | None) -> Vouched:
    """Raises NotFound, BadToken, Unavailable."""
    issuer = issuers().get(provider)
    if issuer is None:
        raise NotFound(NO_PROVIDER)
    return id_tokens.check(issuer, token, nonce)


def _entered(unit: Unit, vouched: Vouched, name: str | None) -> Entered:
    """Raises AccountDisabled, IdentityTaken."""
    proved = vouched.verified_email
    if owner := _owner(unit, vouched):
        by = (vouched.provider, vouched.subject)
        return entrance.let_in(unit, lock_account(unit, owner), proved, by)
    if proved:
        entered = entrance.proven(unit, proved, name)
    else:
        is_free = vouched.email is not None and account_at(unit, vouched.email) is None
        email = vouched.email if is_free else None
        entered = entrance.opened(unit, email, name, is_verified=False)
    _link(unit, entered.user, vouched)
    return entered


def _owner(unit: Unit, vouched: Vouched) -> str | None:
    """The account that has this identity, whose row is locked."""
    which = (Identity.provider == vouched.provider, Identity.subject == vouched.subject)
    found: str | None = unit.scalar(select(Identity.user_id).where(*which).with_for_update())
    return found


def _link(unit: Unit, user: User, vouched: Vouched) -> None:
    """To a locked account. Raises IdentityTaken where it has another one of this provider."""
    names = Profile.of(user).identities
    if vouched.provider in names:
        raise IdentityTaken(HAS_ANOTHER)
    unit.flush()  # a new account's row comes first
    row = {"provider": vouched.provider, "subject": vouched.subject, "user_id": user.id}
    unit.execute(insert(IDENTITIES), row | {"created_at": utc_now()})
    change(user, providers=",".join(sorted([*names, vouched.provider])))


def _keep(unit: Unit, vouched: Vouched, granted: str | None) -> None:
    """What Apple gave, to be revoked when the account goes."""
    if granted is not None:
        unit.flush()
        c = IDENTITIES.c
        mine = and_(c.provider == vouched.provider, c.subject == vouched.subject)
        values = {"client_id": vouched.client_id, "refresh_token": granted}
        unit.execute(update(IDENTITIES).where(mine).values(values))


def _unhindered(work: Callable[[Unit], T]) -> T:
    """A transaction that stores an address or an identity, again where somebody else has stored it
    since it was looked for."""
    for _ in range(ATTEMPTS - 1):
        try:
            return unit_of_work(work)
        except IntegrityError:
            continue
    return unit_of_work(work)
