"""How `flask db` runs a migration: on the application's own engine and models."""

from typing import Any

from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import DropTableOp
from flask import current_app
from sqlalchemy import MetaData

from melon_api import models
from melon_api.models.base import TEXT_BYTES, JsonText, UTCDateTime, db
from melon_api.storage.engine import patient_engine


def metadata() -> MetaData:
    models.load()
    return db.metadata


def render_item(kind: str, item: Any, autogen: AutogenContext) -> str | bool:
    """Our own types in SQLAlchemy's words: an old migration must not depend on today's code."""
    if kind == "type" and isinstance(item, UTCDateTime):
        autogen.imports.add("from sqlalchemy.dialects import mysql")
        return "sa.DateTime().with_variant(mysql.DATETIME(fsp=3), 'mysql')"
    if kind == "type" and isinstance(item, JsonText):
        if item.length <= TEXT_BYTES:
            return "sa.Text()"
        autogen.imports.add("from sqlalchemy.dialects import mysql")
        return "sa.Text().with_variant(mysql.MEDIUMTEXT(), 'mysql')"
    return False


def finish_script(_context: Any, _revision: Any, directives: list[Any]) -> None:
    """Write no empty migration, and one that MySQL can run back: it will not drop an index that a
    foreign key still needs, and drops those of a table with the table."""
    asked = getattr(context.config.cmd_opts, "autogenerate", False)
    if asked and directives[0].upgrade_ops.is_empty():
        directives.clear()
        current_app.logger.info("models and database agree; no migration is needed")
        return
    back = directives[0].downgrade_ops.ops
    dropped = {op.table_name for op in back if isinstance(op, DropTableOp)}
    back[:] = [op for op in back if isinstance(op, DropTableOp) or op.table_name not in dropped]


OPTIONS: dict[str, Any] = {
    "target_metadata": metadata(),
    "render_item": render_item,
    "process_revision_directives": finish_script,
    "render_as_batch": True,  # SQLite changes a table by copying it
    "compare_type": True,
}

if context.is_offline_mode():
    url = db.engine.url.render_as_string(hide_password=False)
    context.configure(url=url, literal_binds=True, **OPTIONS)
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = patient_engine()
    with engine.connect() as connection:
        context.configure(connection=connection, **OPTIONS)
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
    engine.dispose()
