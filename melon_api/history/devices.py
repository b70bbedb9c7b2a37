"""An account's devices, as a person who helps knows them: by a name."""

from dataclasses import dataclass

from melon_api.errors import NotFound
from melon_api.models.session import Session
from melon_api.users.devices import printable, sessions

LONGEST = 40


@dataclass(frozen=True)
class Devices:
    """Names by the session's id, the newest first; `is_some`: others were not asked for."""

    sessions: dict[str, Session]
    is_some: bool

    def name(self, session_id: str) -> str | None:
        """None for one that was not asked for; of a session that is deleted, its id is left."""
        if session := self.sessions.get(session_id):
            return printable(session.device_name or session.user_agent or session_id)[:LONGEST]
        return None if self.is_some else f"(forgotten) {session_id}"


def devices_of(user_id: str, text: str | None) -> Devices:
    """All of them, or those that `text` names. Raises NotFound when it names none."""
    known = {session.id: session for session in sessions(user_id)}
    if text is None:
        return Devices(known, False)
    found = {name: session for name, session in known.items() if _is_named(session, text)}
    if not found:
        raise NotFound(f"This account has no device {text}; flask users sessions names them.")
    return Devices(found, True)


def _is_named(session: Session, text: str) -> bool:
    wanted = text.lower()
    names = (session.device_name, session.user_agent)
    return session.id == wanted or any(wanted in (name or "").lower() for name in names)
