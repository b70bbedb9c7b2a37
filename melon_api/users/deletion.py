"""The end of an account: everything that is stored of it, in one transaction."""

from sqlalchemy import Engine, delete, select

from melon_api.auth.accounts import GONE, PROFILE
from melon_api.errors import ValidationFailed
from melon_api.models.alteration import Alteration
from melon_api.models.mailed_token import MailedToken
from melon_api.models.outbox import EventQueue, OutboxEvent
from melon_api.models.session import Session
from melon_api.models.synced import Adoption
from melon_api.models.user import User
from melon_api.storage.cache import cache
from melon_api.storage.transactions import writing
from melon_api.sync.discovery import synced_tables
from melon_api.sync.sql import clock, deletions

NOT_THE_PASSWORD = "This is not the account's password."  # noqa: S105 - a sentence


def erase(engine: Engine, user_id: str, stored: str | None = None) -> None:
    """Everything that is stored of an account, in one transaction. Raises ValidationFailed when its
    password is not `stored` any more."""
    with writing(engine) as connection:
        clock.lock(connection, user_id)
        password = connection.scalar(select(User.password).where(User.id == user_id))
        if stored not in (None, password):
            raise ValidationFailed({"password": [NOT_THE_PASSWORD]})
        deletions.delete_all(connection, synced_tables().values(), user_id)
        for model in (Adoption, Alteration, EventQueue, OutboxEvent, Session, MailedToken):
            connection.execute(delete(model).where(model.user_id == user_id))
        connection.execute(delete(User).where(User.id == user_id))
        cache().invalidate(user_id, {PROFILE: GONE})
