"""Signing in by a mailed code (contract, Accounts 16 and 17). Knows no HTTP."""

from sqlalchemy import select

from melon_api.audit import Event, record
from melon_api.auth.sessions import Device
from melon_api.errors import AccountDisabled, InvalidCredentials, Unavailable
from melon_api.mail.message import send
from melon_api.mail.outbox import outbox
from melon_api.models.base import db
from melon_api.models.user import User
from melon_api.passwordless import codes
from melon_api.passwordless.entrance import Entry, proven, sign_in
from melon_api.passwordless.sentences import BAD_CODE
from melon_api.storage.transactions import Unit, unit_of_work


def request_code(email: str) -> None:
    """Mail a code, whether or not there is such an account. Raises Unavailable.

    All of it happens behind the answer, and is the same for any address.
    """
    if not outbox().post(lambda: _send_code(email)):
        raise Unavailable("Too many mails wait to be sent.")


def _send_code(email: str) -> None:
    user_id = db.session.scalar(select(User.id).where(User.email == email))
    record(Event.CODE_REQUESTED, user_id)
    send("code", email, codes.new_code(email))


def by_code(email: str, code: str, name: str | None, device: Device) -> Entry:
    """Sign a device in by a mailed code. Raises InvalidCredentials, AccountDisabled (to the right
    code alone, which is not used up by it)."""

    def work(unit: Unit) -> Entry | None:
        if not codes.guess(unit, email, code):
            return None  # the guess is to be counted: committed
        codes.void(unit.connection(), email)
        return sign_in(unit, proven(unit, email, name), device)

    try:
        entry = unit_of_work(work)
    except AccountDisabled:
        record(Event.SIGN_IN_FAILED, None, reason="disabled")
        raise
    if entry is None:
        record(Event.SIGN_IN_FAILED, None, reason="code")
        raise InvalidCredentials(BAD_CODE)
    return entry.settle("code")
