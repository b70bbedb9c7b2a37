"""What happens to accounts, as structured log events: who, from where, in which request.

An event has the account's id, the session's where there is one, the request's id (`-` from the
command line) and the client's address; never a password or a token, nor an e-mail address: people
type passwords into that field.
"""

from enum import StrEnum
from typing import Any

import structlog
from structlog.contextvars import get_contextvars

from melon_api import measures

log: structlog.stdlib.BoundLogger = structlog.get_logger("melon_api.audit")


class Event(StrEnum):
    """The events' names; docs/security.md says when each one comes."""

    REGISTERED = "account_registered"
    UPGRADED = "account_upgraded"
    ACCOUNTS_LOADED = "accounts_loaded"
    SIGNED_IN = "signed_in"
    CLAIMED = "account_claimed"
    IDENTITY_LINKED = "identity_linked"
    IDENTITY_UNLINKED = "identity_unlinked"
    CODE_REQUESTED = "code_requested"
    SIGN_IN_FAILED = "sign_in_failed"
    TOKEN_REUSED = "refresh_token_reused"  # noqa: S105 - a name
    SESSION_REVOKED = "session_revoked"
    SESSIONS_REVOKED = "sessions_revoked"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    PASSWORD_REFUSED = "password_refused"  # noqa: S105
    PROOF_REFUSED = "proof_refused"
    RESET_REQUESTED = "password_reset_requested"
    PASSWORD_RESET = "password_reset"  # noqa: S105
    EMAIL_CHANGED = "email_changed"
    EMAIL_VERIFIED = "email_verified"
    DEACTIVATED = "account_deactivated"
    ACTIVATED = "account_activated"
    DELETED = "account_deleted"
    EXPORTED = "account_exported"
    SPACE_CREATED = "space_created"
    SPACE_DELETED = "space_deleted"
    MEMBER_JOINED = "space_joined"
    MEMBER_LEFT = "space_left"
    ROLE_CHANGED = "space_role_changed"
    INVITED = "space_invitation_made"
    INVITATION_REVOKED = "space_invitation_revoked"


ALARMING = {Event.SIGN_IN_FAILED, Event.TOKEN_REUSED, Event.PASSWORD_REFUSED, Event.PROOF_REFUSED}


def record(
    event: Event, account_id: str | None, session_id: str | None = None, **more: Any
) -> None:
    """Log what has happened; `account_id` is None where nobody knows whose it was.

    Call it when the change is committed: an event says what is true.
    """
    facts = {"account_id": account_id, "session_id": session_id, **more}
    facts["client"] = get_contextvars().get("client", "command line")
    measures.count_event(event)
    say = log.warning if event in ALARMING else log.info
    say(str(event), **{name: value for name, value in facts.items() if value is not None})
