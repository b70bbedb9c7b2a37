"""Who is in a space, as of the transaction at hand, and what that lets them do."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import current_app
from sqlalchemy import Connection, Select, func, select

from melon_api.errors import Forbidden, NotFound, ValidationFailed
from melon_api.models.space import OWNER, Membership, Space
from melon_api.sync.rules.tables import ID

_spaces, _members = Space.__table__.c, Membership.__table__.c
NO_SPACE = "There is no such space of yours."


def role_in(connection: Connection, user_id: str, space_id: str) -> str | None:
    """None of who is no member."""
    if not (ID.match(space_id) and ID.match(user_id)):
        return None  # MySQL does not even compare some of them, and takes no blank at the end amiss
    row = Membership.__table__.c
    mine = (row.user_id == user_id, row.space_id == space_id, row.left_tick.is_(None))
    role: str | None = connection.scalar(select(row.role).where(*mine))
    return role


def check_member(connection: Connection, user_id: str, space_id: str) -> str:
    """The role. Raises NotFound: for others the space is not there."""
    role = role_in(connection, user_id, space_id)
    if role is None:
        raise NotFound(NO_SPACE)
    return role


def check_owner(connection: Connection, user_id: str, space_id: str) -> None:
    """Raises NotFound, Forbidden."""
    if check_member(connection, user_id, space_id) != OWNER:
        raise Forbidden


def members_of(connection: Connection, space_id: str) -> set[str]:
    """The accounts in it."""
    row = Membership.__table__.c
    here = (row.space_id == space_id, row.left_tick.is_(None))
    return set(connection.scalars(select(row.user_id).where(*here)))


def is_last_owner(connection: Connection, user_id: str, space_id: str) -> bool:
    """Whether nobody else owns it; of an owner."""
    row = Membership.__table__.c
    others = (row.space_id == space_id, row.user_id != user_id, row.left_tick.is_(None))
    query = select(row.user_id).where(*others, row.role == OWNER).limit(1)
    return connection.scalar(query) is None


def check_room(connection: Connection, user_id: str) -> None:
    """Raises ValidationFailed when the account is in as many as there may be."""
    row = Membership.__table__.c
    mine = select(func.count()).where(row.user_id == user_id, row.left_tick.is_(None))
    most = current_app.config["MAX_SPACES_PER_ACCOUNT"]
    if (connection.scalar(mine) or 0) >= most:
        raise ValidationFailed({"spaces": [f"No account is in more than {most}."]})


@dataclass(frozen=True)
class SharedSpace:
    """A space as its member sees it; `members`: how many there are."""

    id: str
    name: str
    role: str
    members: int
    created_at: datetime


def spaces_of(connection: Connection, user_id: str) -> list[SharedSpace]:
    """Those that the account is in, the one it has been in longest first."""
    query = select_spaces(user_id).order_by(_members.joined_at, _members.space_id)
    return [SharedSpace(*row) for row in connection.execute(query)]


def space_of(connection: Connection, user_id: str, space_id: str) -> SharedSpace:
    """Raises NotFound for who is no member."""
    query = select_spaces(user_id).where(_members.space_id == space_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(NO_SPACE)
    return SharedSpace(*row)


def select_spaces(user_id: str) -> Select[Any]:
    """What a SharedSpace has, of those that the account is in."""
    everybody = Membership.__table__.alias().c
    here = (everybody.space_id == _spaces.id, everybody.left_tick.is_(None))
    count = select(func.count()).where(*here).scalar_subquery()
    mine = (_members.user_id == user_id, _members.left_tick.is_(None))
    return (
        select(_spaces.id, _spaces.name, _members.role, count, _spaces.created_at)
        .join(Membership, _members.space_id == _spaces.id)
        .where(*mine)
    )
