"""What goes by mail: a forgotten password, and whether an address is its owner's.

A token is 256 random bits, in the mail alone; its SHA-256 is stored (OWASP Forgot Password Cheat
Sheet). Each mail has a token of its own, so that a late one still works.
"""

import secrets
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, select

from melon_api.audit import Event, record
from melon_api.auth import passwords
from melon_api.auth.accounts import Caller, change, lock_account, revoke
from melon_api.auth.sessions import end, hand_over
from melon_api.auth.tokens import digest
from melon_api.errors import AccountDisabled, TokenRevoked, Unavailable, ValidationFailed
from melon_api.mail.message import send
from melon_api.mail.outbox import outbox
from melon_api.models.base import db, utc_now
from melon_api.models.mailed_token import MailedToken
from melon_api.models.user import User
from melon_api.refusals import Refusals
from melon_api.storage.transactions import Unit, snapshot, unit_of_work

RESET, VERIFY = "reset", "verify"
LIFETIMES = {RESET: timedelta(minutes=30), VERIFY: timedelta(days=3)}
BAD_TOKEN = {"token": ["Unknown, used or too old; ask for a new one."]}


def forgot(email: str) -> None:
    """Mail a token to set a new password, if there is such an account. Raises Unavailable.

    Everything that depends on whether there is one happens behind the answer.
    """
    if not outbox().post(lambda: _send_reset(email)):
        raise Unavailable("Too many mails wait to be sent.")


def _send_reset(email: str) -> None:
    user = db.session.scalar(select(User).where(User.email == email, User.is_active))
    if user is not None:
        record(Event.RESET_REQUESTED, user.id)
        send(RESET, email, _new_token(RESET, user.id, email))


def reset(token: str, new_password: str) -> str:
    """Set a new password by a mailed token and sign every device out: the address of its owner, who
    is to be told.

    Raises ValidationFailed, AccountDisabled; the token still works then.
    """
    user_id, email, strong = check_reset(token, new_password)
    hashed = passwords.hash_password(strong)

    def work(unit: Unit) -> list[str]:
        user = _holder(unit, token, RESET, user_id)
        if not user.is_active:
            raise AccountDisabled
        if user.email_verified_at is None:
            return hand_over(unit, user, hashed)
        replace_password(unit, user, hashed)
        return []

    to_revoke = unit_of_work(work)
    record(Event.PASSWORD_RESET, user_id)
    revoke(to_revoke)
    return email


def check_reset(token: str | None, new_password: str | None) -> tuple[str, str, str]:
    """The account of the token, its address, the password as it will be hashed.

    None is what was refused already. Raises ValidationFailed for all that is wrong.
    """
    refusals, owner, strong = Refusals(), ("", ""), ""
    if token is not None:
        with refusals.noted():
            owner = _owner(token, RESET)
    if new_password is not None:
        with refusals.noted():
            strong = passwords.check_strength(new_password, owner[1], "new_password")
    refusals.raise_any()
    return *owner, strong


def check_verification(token: str | None) -> None:
    """What `verify` would refuse. Raises ValidationFailed."""
    if token is not None:
        _owner(token, VERIFY)


def verify(token: str) -> None:
    """Note that an address is its owner's. Raises ValidationFailed. A second time it succeeds, too:
    the first answer may have been lost."""
    user_id, _email = _owner(token, VERIFY)

    def work(unit: Unit) -> bool:
        user = _holder(unit, token, VERIFY, user_id)
        if user.email_verified_at:
            return False
        change(user, email_verified_at=utc_now())
        return True

    if unit_of_work(work):
        record(Event.EMAIL_VERIFIED, user_id)


def resend(caller: Caller) -> None:
    """Mail another token to verify the caller's address, unless that is done or there is none.
    Raises Unavailable."""
    profile = caller.profile
    if profile is None or profile.email is None or profile.email_verified:
        return
    if not send_verification(caller.user_id, profile.email):
        raise Unavailable("Too many mails wait to be sent.")


def send_verification(user_id: str, email: str) -> bool:
    """Mail a token to verify this address; whether there was room for it."""
    return outbox().post(lambda: _send_verification(user_id, email))


def _send_verification(user_id: str, email: str) -> None:
    send(VERIFY, email, _new_token(VERIFY, user_id, email))


def notify(name: str, email: str | None) -> None:
    """Tell an account's owner, where there is an address, by mail what has been changed (ASVS
    6.3.7)."""
    if email is not None:
        outbox().post(lambda: send(name, email))


def replace_password(
    unit: Unit, user: User, hashed: str, which: ColumnElement[bool] | None = None
) -> None:
    """Set a locked account's password and sign its devices out, all or `which`, in the caller's
    transaction. What was mailed to set another one works no more."""
    change(user, password=hashed)
    forget_tokens(unit, user.id, RESET)
    end(unit, user.id, which)


def forget_tokens(unit: Unit, user_id: str, *purposes: str) -> None:
    """No mailed token of the account for these purposes works any more, in the caller's
    transaction."""
    mine = (MailedToken.user_id == user_id, MailedToken.purpose.in_(purposes))
    unit.execute(delete(MailedToken).where(*mine))


def _new_token(purpose: str, user_id: str, email: str) -> str:
    token, now = secrets.token_urlsafe(32), utc_now()
    row = MailedToken(
        digest=digest(token),
        user_id=user_id,
        purpose=purpose,
        email=email,
        created_at=now,
        expires_at=now + LIFETIMES[purpose],
    )
    unit_of_work(lambda unit: unit.add(row))
    return token


def _owner(token: str, purpose: str) -> tuple[str, str]:
    """Whose token it is, and where it was sent. Raises ValidationFailed."""
    row = MailedToken.__table__.c
    living = (row.digest == digest(token), row.purpose == purpose, row.expires_at > utc_now())
    with snapshot(db.engine) as connection:
        found = connection.execute(select(row.user_id, row.email).where(*living)).one_or_none()
    if found is None:
        raise ValidationFailed(BAD_TOKEN)
    return found.user_id, found.email


def _holder(unit: Unit, token: str, purpose: str, user_id: str) -> User:
    """The account, lock_account, if its token still counts now. Raises ValidationFailed."""
    try:
        user = lock_account(unit, user_id)
    except TokenRevoked:  # deleted at this very moment
        raise ValidationFailed(BAD_TOKEN) from None
    row = unit.get(MailedToken, digest(token), with_for_update=True, populate_existing=True)
    if row is None or row.purpose != purpose or row.email != user.email:
        raise ValidationFailed(BAD_TOKEN)
    return user
