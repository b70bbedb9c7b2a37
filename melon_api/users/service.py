"""The caller's own account."""

from sqlalchemy.exc import IntegrityError

from melon_api.auth import passwords
from melon_api.auth.service import Caller
from melon_api.database import unit_of_work
from melon_api.errors import EmailTaken, TokenRevoked, ValidationFailed
from melon_api.extensions import db
from melon_api.models.user import User


def profile(caller: Caller) -> User:
    """The account. Raises TokenRevoked when it is gone."""
    return _found(db.session.get(User, caller.user_id))


def change_profile(caller: Caller, changes: dict[str, str | None]) -> User:
    """Change `name`, `email` or both. Raises ValidationFailed, EmailTaken.

    A new address needs `current_password`, so that a borrowed phone cannot take the account over.
    """
    if "email" in changes:
        check_password(caller, changes.get("current_password"))
    try:
        with unit_of_work() as unit:
            user = _found(unit.get(User, caller.user_id))
            if "name" in changes:
                user.name = changes["name"]
            if email := changes.get("email"):
                user.email = email
            return user
    except IntegrityError:
        raise EmailTaken("There is an account with this e-mail address already.") from None


def check_password(caller: Caller, password: str | None, field: str = "current_password") -> None:
    """Raises ValidationFailed: a 401 would send the app to its refresh (contract, Accounts)."""
    if not password:
        raise ValidationFailed({field: ["Missing data for required field."]})
    stored = profile(caller).password
    db.session.rollback()  # no connection is held while the password is hashed
    if not passwords.verify(stored, password):
        raise ValidationFailed({field: ["This is not the account's password."]})


def _found(user: User | None) -> User:
    if user is None:
        raise TokenRevoked("This account does not exist any more.")
    return user
