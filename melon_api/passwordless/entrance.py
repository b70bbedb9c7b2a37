"""The door that every sign-in without a password passes: whose an address is that somebody has
proved, and the account that opens for it (contract, Accounts 16)."""

from typing import NamedTuple

from sqlalchemy import select

from melon_api.audit import Event, record
from melon_api.auth.accounts import Profile
from melon_api.auth.sessions import Device, SignedIn, hand_over, open_session
from melon_api.errors import AccountDisabled
from melon_api.models.base import utc_now
from melon_api.models.user import NO_PASSWORD, User
from melon_api.passwordless.oidc import grants
from melon_api.storage.transactions import Unit


class Entered(NamedTuple):
    """Whose account it is, locked; whether it was opened, or handed over, just now."""

    user: User
    is_new: bool = False
    is_claimed: bool = False
    to_revoke: tuple[str, ...] = ()


class Entry(NamedTuple):
    """A sign-in, and what it came to."""

    signed_in: SignedIn
    is_new: bool
    is_claimed: bool
    to_revoke: tuple[str, ...]

    def settle(self, way: str) -> "Entry":
        """Once it is committed: what has happened, for the audit log and for the providers."""
        events = [Event.CLAIMED] if self.is_claimed else []
        for event in (*events, Event.REGISTERED if self.is_new else Event.SIGNED_IN):
            record(event, self.signed_in.user.id, self.signed_in.session_id, way=way)
        grants.settle(list(self.to_revoke))
        return self


def account_at(unit: Unit, email: str) -> User | None:
    """The account that has this address, locked."""
    query = select(User).where(User.email == email).with_for_update()
    found: User | None = unit.scalar(query.execution_options(populate_existing=True))
    return found


def proven(unit: Unit, email: str, name: str | None) -> Entered:
    """The account of an address that somebody has proved to be theirs; a new one where there is
    none. Raises AccountDisabled."""
    user = account_at(unit, email)
    if user is None:
        return opened(unit, email, name, is_verified=True)
    return let_in(unit, user, email)


def let_in(
    unit: Unit, user: User, proved: str | None, by: tuple[str, str] | None = None
) -> Entered:
    """Into a locked account, by somebody who has `proved` this address, `by` an identity of it.
    Where it is the account's, which nobody had proved before, the account is theirs. Raises
    AccountDisabled."""
    if not user.is_active:
        raise AccountDisabled
    is_claimed = proved is not None and user.email == proved and user.email_verified_at is None
    to_revoke = hand_over(unit, user, keep=by) if is_claimed else []
    return Entered(user, is_claimed=is_claimed, to_revoke=tuple(to_revoke))


def opened(unit: Unit, email: str | None, name: str | None, *, is_verified: bool) -> Entered:
    """A new account."""
    verified_at = utc_now() if is_verified else None
    user = User(email=email, password=NO_PASSWORD, name=name, email_verified_at=verified_at)
    unit.add(user)
    unit.flush()
    return Entered(user, is_new=True)


def sign_in(unit: Unit, entered: Entered, device: Device) -> Entry:
    """Sign a device in, in the caller's transaction, which holds the account."""
    unit.flush()
    user = entered.user
    signed_in = SignedIn(Profile.of(user), *open_session(unit, user.id, device))
    return Entry(signed_in, entered.is_new, entered.is_claimed, entered.to_revoke)
