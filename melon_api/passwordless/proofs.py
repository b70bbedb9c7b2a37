"""What proves that a signed-in caller is the account's holder, where a call wants that shown.

A password, an ID token of a linked identity, a mailed code; or nothing but its session for a guest
(contract, Accounts 18). It is checked before the change, and confirmed in the change's own
transaction: what has been changed meanwhile proves nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from melon_api.audit import Event, record
from melon_api.auth import passwords
from melon_api.auth.accounts import PROFILE_COLUMNS, Caller, Profile
from melon_api.errors import TokenRevoked, ValidationFailed
from melon_api.models.base import db
from melon_api.models.user import Identity, User
from melon_api.passwordless import codes
from melon_api.passwordless.oidc import id_tokens
from melon_api.passwordless.oidc.provider import BadToken
from melon_api.passwordless.sentences import (
    MISSING,
    NOT_THE_CODE,
    NOT_THE_PASSWORD,
    NOT_THE_TOKEN,
)
from melon_api.storage.transactions import snapshot


class Proof(NamedTuple):
    """`place`: the field of the body that proves it; `sentence`: why it does not, where
    `is_still_good`, asked in the transaction that holds the account, says no."""

    place: str
    sentence: str
    is_still_good: Callable[[Connection], bool]

    def confirm(self, connection: Connection) -> None:
        """Raises ValidationFailed when it has ceased to be one."""
        if not self.is_still_good(connection):
            raise ValidationFailed({self.place: [self.sentence]})


NOTHING = Proof("", "", lambda _: False)


def check(caller: Caller, body: Mapping[str, Any], field: str) -> Proof:
    """By what the body holds of `field` (the password's) and the others; None was refused already.

    Raises ValidationFailed: a 401 would send the app to its refresh (contract, Accounts 8).
    """
    if password := body.get(field):
        return _by_password(caller, password, field)
    if token := body.get("id_token"):
        return _by_identity(caller, token, body.get("nonce"))
    if code := body.get("code"):
        return _by_code(caller, code)
    if any(name in body and body[name] is None for name in (field, "id_token", "code")):
        raise ValidationFailed({})
    if caller.profile is not None and caller.profile.is_guest:
        return Proof(field, MISSING, lambda connection: _is_guest(connection, caller.user_id))
    raise ValidationFailed({field: [MISSING]})


def _by_password(caller: Caller, password: str, field: str) -> Proof:
    with snapshot(db.engine) as connection:
        stored = _password(connection, caller.user_id)
    if stored is None:
        raise TokenRevoked("This account does not exist any more.")
    if not passwords.verify(stored, password):
        record(Event.PASSWORD_REFUSED, caller.user_id, caller.session_id)
        raise ValidationFailed({field: [NOT_THE_PASSWORD]})
    return Proof(
        field,
        NOT_THE_PASSWORD,
        lambda connection: _password(connection, caller.user_id) == stored,
    )


def _by_identity(caller: Caller, token: str, nonce: str | None) -> Proof:
    try:
        vouched = id_tokens.check_proof(token, nonce)
    except BadToken as error:
        raise _refused(caller, "id_token", NOT_THE_TOKEN, str(error)) from None
    providers = [one.provider for one in vouched]
    mine = (Identity.user_id == caller.user_id, Identity.provider.in_(providers))
    linked = select(Identity.user_id).where(*mine, Identity.subject == vouched[0].subject)

    def is_still_good(connection: Connection) -> bool:
        return connection.scalar(linked) is not None

    with snapshot(db.engine) as connection:
        if not is_still_good(connection):
            raise _refused(caller, "id_token", NOT_THE_TOKEN, "identity")
    return Proof("id_token", NOT_THE_TOKEN, is_still_good)


def _refused(caller: Caller, place: str, sentence: str, why: str) -> ValidationFailed:
    record(Event.PROOF_REFUSED, caller.user_id, caller.session_id, way=place, why=why)
    return ValidationFailed({place: [sentence]})


def _by_code(caller: Caller, code: str) -> Proof:
    email = caller.profile.email if caller.profile else None
    if email is None or not codes.is_right(email, code):
        raise _refused(caller, "code", NOT_THE_CODE, "code")

    def is_still_good(connection: Connection) -> bool:
        now = connection.scalar(select(User.email).where(User.id == caller.user_id))
        return now == email and codes.use_up(connection, email, code)

    return Proof("code", NOT_THE_CODE, is_still_good)


def _password(connection: Connection, user_id: str) -> str | None:
    found: str | None = connection.scalar(select(User.password).where(User.id == user_id))
    return found


def _is_guest(connection: Connection, user_id: str) -> bool:
    row: Any = connection.execute(select(*PROFILE_COLUMNS).where(User.id == user_id)).one_or_none()
    return row is not None and Profile.of(row).is_guest
