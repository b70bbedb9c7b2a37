"""The end of an account: everything that is stored of it, in one transaction."""

from collections.abc import Callable

from sqlalchemy import Connection, Engine, delete, select

from melon_api.auth.accounts import GONE, PROFILE
from melon_api.models.alteration import Alteration
from melon_api.models.base import db
from melon_api.models.mailed_token import MailedCode, MailedToken
from melon_api.models.outbox import EventQueue, OutboxEvent
from melon_api.models.session import Session
from melon_api.models.synced import Adoption
from melon_api.models.user import Identity, User
from melon_api.passwordless.oidc import grants
from melon_api.storage.cache import cache
from melon_api.storage.transactions import retrying, writing
from melon_api.sync.discovery import synced_tables
from melon_api.sync.sql import clock, deletions

OWNED = (Adoption, Alteration, EventQueue, OutboxEvent, Session, MailedToken, Identity)


def end_account(user_id: str, confirm: Callable[[Connection], None] = lambda _: None) -> None:
    """The one way an account goes: for good, with all its data. `confirm` is asked when the account
    is held; what it raises leaves all as it is. What a provider gave for it is revoked there."""
    grants.settle(retrying(lambda: erase(db.engine, user_id, confirm)))


def erase(engine: Engine, user_id: str, confirm: Callable[[Connection], None]) -> list[str]:
    """Everything that is stored of an account, in one transaction; what is to be revoked
    elsewhere."""
    with writing(engine) as connection:
        clock.lock(connection, user_id)
        confirm(connection)
        to_revoke = grants.note(connection, Identity.user_id == user_id)
        email = connection.scalar(select(User.email).where(User.id == user_id))
        connection.execute(delete(MailedCode).where(MailedCode.email == email))
        deletions.delete_all(connection, synced_tables().values(), user_id)
        for model in OWNED:
            connection.execute(delete(model).where(model.user_id == user_id))
        connection.execute(delete(User).where(User.id == user_id))
        cache().invalidate(user_id, {PROFILE: GONE})
    return to_revoke
