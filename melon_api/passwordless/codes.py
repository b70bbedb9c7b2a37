"""Codes of six digits by mail: one for each address at a time (contract, Accounts 17).

A million of them are few, so a code ends at its fifth wrong guess, whoever guesses, and what is
stored is keyed with the server's secret: who has read the table alone cannot try them all.
"""

import hashlib
import hmac
import secrets
from datetime import timedelta

from sqlalchemy import Connection, delete, insert, select, update

from melon_api.auth.tokens import keys_now
from melon_api.models.base import utc_now
from melon_api.models.mailed_token import MailedCode
from melon_api.storage.transactions import Unit, unit_of_work

DIGITS, LIFETIME, MOST_WRONG = 6, timedelta(minutes=10), 5
CODES = MailedCode.__table__


def new_code(email: str) -> str:
    """A code for this address; the one before works no more."""
    code, now = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}", utc_now()
    digest = _digest(keys_now()[0], email, code)
    dates = {"created_at": now, "expires_at": now + LIFETIME}

    def work(unit: Unit) -> None:
        void(unit.connection(), email)
        unit.execute(insert(CODES), {"email": email, "digest": digest, "wrong": 0, **dates})

    unit_of_work(work)
    return code


def is_right(email: str, code: str) -> bool:
    """Whether it is the address's code; a wrong one is counted. It is not used up by this."""
    return unit_of_work(lambda unit: guess(unit, email, code))


def guess(unit: Unit, email: str, code: str) -> bool:
    """The same in the caller's transaction, which is to be committed whatever is said."""
    connection = unit.connection()
    query = select(CODES.c["digest", "wrong", "expires_at"]).where(CODES.c.email == email)
    row = connection.execute(query.with_for_update()).one_or_none()
    if row is None or row.expires_at <= utc_now():
        return False
    if _is_of(row.digest, email, code):
        return True
    if row.wrong + 1 >= MOST_WRONG:
        void(connection, email)
    else:
        counted = update(CODES).where(CODES.c.email == email).values(wrong=row.wrong + 1)
        connection.execute(counted)
    return False


def use_up(connection: Connection, email: str, code: str) -> bool:
    """Whether it was the address's code until now, in the caller's transaction. It is no more."""
    query = select(CODES.c["digest", "expires_at"]).where(CODES.c.email == email)
    row = connection.execute(query.with_for_update()).one_or_none()
    is_good = row is not None and row.expires_at > utc_now() and _is_of(row.digest, email, code)
    if is_good:
        void(connection, email)
    return is_good


def void(connection: Connection, email: str) -> None:
    """No code of this address works any more, in the caller's transaction."""
    connection.execute(delete(CODES).where(CODES.c.email == email))


def _is_of(digest: str, email: str, code: str) -> bool:
    """By whichever key: it may have been changed since."""
    made = [_digest(key, email, code) for key in keys_now()]
    return any(hmac.compare_digest(one, digest) for one in made)


def _digest(key: str, email: str, code: str) -> str:
    said = f"mailed code:{email}:{code}".encode()
    return hmac.digest(key.encode(), said, hashlib.sha256).hex()
