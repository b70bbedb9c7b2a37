"""How `flask db` runs a migration: on the application's own engine and models."""

from typing import Any

from alembic import context
from alembic.autogenerate.api import AutogenContext
from flask import current_app
from sqlalchemy.sql.schema import MetaData

from melon_api import models
from melon_api.extensions import db
from melon_api.models.base import UTCDateTime


def metadata() -> MetaData:
    models.load()
    return db.metadata


def render_item(kind: str, item: Any, autogen: AutogenContext) -> str | bool:
    """Our own types in SQLAlchemy's words: an old migration must not depend on today's code."""
    if kind == "type" and isinstance(item, UTCDateTime):
        autogen.imports.add("from sqlalchemy.dialects import mysql")
        return "sa.DateTime().with_variant(mysql.DATETIME(fsp=3), 'mysql')"
    return False


def skip_empty(_context: Any, _revision: Any, directives: list[Any]) -> None:
    if (
        getattr(context.config.cmd_opts, "autogenerate", False)
        and directives[0].upgrade_ops.is_empty()
    ):
        directives.clear()
        current_app.logger.info("models and database agree; no migration is needed")


OPTIONS: dict[str, Any] = {
    "target_metadata": metadata(),
    "render_item": render_item,
    "process_revision_directives": skip_empty,
    "render_as_batch": True,  # SQLite changes a table by copying it
    "compare_type": True,
}

if context.is_offline_mode():
    url = db.engine.url.render_as_string(hide_password=False)
    context.configure(url=url, literal_binds=True, **OPTIONS)
    with context.begin_transaction():
        context.run_migrations()
else:
    with db.engine.connect() as connection:
        context.configure(connection=connection, **OPTIONS)
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
