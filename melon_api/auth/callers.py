"""Who may act: the caller whom a verified token names."""

from typing import Any

from sqlalchemy import and_, case, not_, select

from melon_api.auth.accounts import PROFILE, PROFILE_COLUMNS, Caller, Profile
from melon_api.auth.sessions import ENDED, LIVING, cache_name, device_number
from melon_api.errors import AccountDisabled, TokenRevoked
from melon_api.models.base import db, now_ms
from melon_api.models.session import Session
from melon_api.models.space import CATALOGUE, Space
from melon_api.models.user import CLOCK, User
from melon_api.storage.cache import Cache, Put, cache
from melon_api.storage.transactions import snapshot

# Null where it is not all that a pull goes by: other spaces may have news (sync/spaces/).
_catalogue = select(Space.id).where(Space.id == CATALOGUE, Space.sync_clock > 0).exists()
_is_alone = and_(User.shared_clock == 0, not_(_catalogue))
SYNC_CLOCK = case((_is_alone, User.sync_clock)).label("sync_clock")
REMEMBERED = {"device", "expires_ms"}  # of a living session; another release may know others


def authenticate(user_id: str, session_id: str) -> Caller:
    """The caller whom a verified token names. Raises TokenRevoked, AccountDisabled."""
    session, profile = _remembered(cache(), user_id, session_id)
    clock = None
    if session is None:
        session, profile, clock = _looked_up(user_id, session_id)
    if not session or profile is None or session["expires_ms"] <= now_ms():
        raise TokenRevoked
    if not profile.is_active:
        raise AccountDisabled
    return Caller(user_id, session_id, session["device"], profile, clock)


def remembered(cache: Cache, user_id: str, session_id: str) -> Caller | None:
    """The same as far as the cache knows it; None when it does not, or when there is something
    against them. For what is outside of Flask."""
    session, profile = _remembered(cache, user_id, session_id)
    if not session or profile is None or session["expires_ms"] <= now_ms():
        return None
    return Caller(user_id, session_id, session["device"], profile) if profile.is_active else None


def _remembered(
    cache: Cache, user_id: str, session_id: str
) -> tuple[dict[str, int] | None, Profile | None]:
    """The session ({} when it has ended, None when the database must be asked), the profile."""
    session, cached = cache.read(user_id, cache_name(session_id), PROFILE)
    profile = Profile.from_cache(cached)
    keys = session.keys() if isinstance(session, dict) else None
    is_known = keys == set() or (keys == REMEMBERED and profile is not None)
    return session if is_known else None, profile


def _looked_up(user_id: str, session_id: str) -> tuple[dict[str, int], Profile | None, int | None]:
    """The session ({} when it has ended), the profile and the sync clock from the database, and
    into the cache."""
    query = (
        select(
            Session.__table__.c["device", "revoked_at", "expires_at"], *PROFILE_COLUMNS, SYNC_CLOCK
        )
        .join(User, User.id == Session.user_id)
        .where(Session.id == session_id, Session.user_id == user_id)
    )
    as_of = cache().moment()
    with snapshot(db.engine) as connection:
        row: Any = connection.execute(query).one_or_none()
    if row is None or row.revoked_at is not None:
        cache().put(user_id, Put(cache_name(session_id), ENDED, {}, as_of))
        return {}, None, None
    session = {
        "device": device_number(row.device),
        "expires_ms": int(row.expires_at.timestamp() * 1000),
    }
    profile = Profile.of(row)
    living = Put(cache_name(session_id), LIVING, session, as_of)
    puts = [living, profile.put(row.version, as_of)]
    if row.sync_clock is not None:
        puts.append(Put(CLOCK, row.sync_clock, row.sync_clock, as_of))
    cache().put(user_id, *puts)
    return session, profile, row.sync_clock
