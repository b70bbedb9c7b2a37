"""The hash that an unknown address is checked against: another account's, of which nothing comes.

Hashes that another server wrote, and those from before a change of the settings, take longer or
shorter to check than ours. Would an unknown address always cost one of ours, the time of an answer
would tell who has an account (contract, Accounts 7). So each address has an account that stands in
for it, always the same: as many answers are slow as there are accounts with such a hash.
"""

import base64
import hashlib
import hmac
from typing import NamedTuple

from flask import current_app
from sqlalchemy import Connection, bindparam, func, select

from melon_api.models.user import User
from melon_api.storage.prepared import Prepared

_mine = User.email == bindparam("email")
_first = select(func.min(User.email))
_next = _first.where(User.email >= bindparam("spot"))
_stands_in = User.email == func.coalesce(_next.scalar_subquery(), _first.scalar_subquery())
_stored = Prepared(
    select(
        select(User.id).where(_mine).scalar_subquery(),
        select(User.password).where(_mine).scalar_subquery(),
        select(User.password).where(_stands_in).scalar_subquery(),
    )
)


class Stored(NamedTuple):
    """Of an address: its account and its hash, None where there is none; and the decoy."""

    user_id: str | None
    password: str | None
    decoy: str | None


def stored_for(connection: Connection, email: str) -> Stored:
    """One statement, whether or not there is such an account."""
    (found,) = _stored.rows(connection, email=email, spot=_spot(email))
    return Stored(*found)


def _spot(email: str) -> str:
    """Somewhere among the addresses; nobody can tell where, and make an account to stand there."""
    key = str(current_app.config["JWT_SECRET_KEY"]).encode()
    return base64.b32encode(hmac.digest(key, email.encode(), hashlib.sha256)).decode().lower()
