"""Whether a push whose COMMIT had no answer is there after all."""

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from melon_api.auth.accounts import Caller
from melon_api.auth.sessions import session_number
from melon_api.errors import OutcomeUnknown
from melon_api.storage.transactions import looking
from melon_api.sync.commit import numbers
from melon_api.sync.rules.pushed import PushRequest
from melon_api.sync.sql import clock

UNKNOWN = "The connection broke while committing; repeat."


def is_committed(engine: Engine, caller: Caller, request: PushRequest, tick: int | None) -> bool:
    """Whether a push whose COMMIT had no answer is there after all: the account's clock knows, or
    the session's number, once the lock is free of it. Raises OutcomeUnknown when nobody can be
    asked, and when others have pushed since."""
    if tick is None and request.number is None:
        return True
    try:
        with looking(engine) as connection:
            account = clock.lock(connection, caller.user_id)
            if tick is None:
                return numbers.newest(connection, caller.session_id) >= (request.number or 0)
    except SQLAlchemyError as error:
        raise OutcomeUnknown(UNKNOWN) from error
    if account.run.until > tick:
        raise OutcomeUnknown(UNKNOWN)
    is_ours = account.run.session == session_number(caller.session_id)
    return account.run.until == tick and is_ours
