"""How `flask db` runs a migration: on the application's own engine and models."""

import re
from pathlib import Path
from typing import Any

from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import DropTableOp, MigrationScript
from alembic.util import CommandError, to_tuple
from flask import current_app
from sqlalchemy import Text

from melon_api.models.base import TEXT_BYTES, JsonText, UTCDateTime, db
from melon_api.ops.migrations import APP, MELON, about_unknown, new_phone_names, revisions
from melon_api.storage.engine import patient_engine

# Who works on Melon itself says: flask db migrate -x branch=melon
BRANCH = context.get_x_argument(as_dictionary=True).get("branch", APP)
WRITES = getattr(context.config.cmd_opts, "autogenerate", False)
# What MySQL's texts hold.
MOST_BYTES = {"TINYTEXT": 2**8 - 1, "TEXT": TEXT_BYTES, "MEDIUMTEXT": 2**24 - 1}
MOST_BYTES["LONGTEXT"] = 2**32 - 1
OURS = {
    mapper.local_table.name
    for mapper in db.Model.registry.mappers
    if mapper.class_.__module__.startswith("melon_api.")
}

PHONE_NAMES = (
    new_phone_names(context.script, [t for t in db.metadata.sorted_tables if t.name not in OURS])
    if BRANCH == APP
    else {}
)


def is_compared(name: str, kind: str) -> bool:
    """Each branch looks after its own tables: Melon's change with Melon's migrations alone."""
    return kind != "table" or (name in OURS) == (BRANCH == MELON)


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


def is_other_type(
    migrating: Any, _inspected: Any, _column: Any, here: Any, wanted: Any
) -> bool | None:
    """Of `Text(n)` MySQL makes the smallest of its own texts that holds so much; None leaves it to
    Alembic."""
    holds = migrating.dialect.name == "mysql" and MOST_BYTES.get(type(here).__name__)
    if holds and isinstance(wanted, Text) and wanted.length:
        return holds < wanted.length
    return None


def finish_script(_context: Any, _revision: Any, directives: list[MigrationScript]) -> None:
    """Write no empty migration, and one that MySQL can run back: it will not drop an index that a
    foreign key still needs, and drops those of a table with the table."""
    script = directives[0]
    if WRITES and script.upgrade_ops.is_empty() and not PHONE_NAMES:
        directives.clear()
        current_app.logger.info("models and database agree; no migration is needed")
        return
    back = script.downgrade_ops.ops
    dropped = {op.table_name for op in back if isinstance(op, DropTableOp)}
    back[:] = [op for op in back if isinstance(op, DropTableOp) or op.table_name not in dropped]
    if script.head == "head":
        put_into_its_branch(script)


def put_into_its_branch(script: MigrationScript) -> None:
    """A new revision is the app's next one, or its first; and it comes after all that Melon's own
    branch has done by now."""
    if BRANCH == MELON:
        script.head = f"{MELON}@head"
        return
    written = list(context.script.walk_revisions())
    melons = [one.revision for one in written if one.is_head and one.branch_labels == {MELON}]
    owns = [one for one in written if APP in one.branch_labels]
    known = {name for one in owns for name in to_tuple(one.dependencies, default=())}
    script.depends_on = [name for name in melons if name not in known] or None
    if owns:
        script.head = f"{APP}@head"
    else:
        script.head, script.branch_label = "base", APP
        script.version_path = str(current_app.config["APP_MIGRATIONS"])


def refuse_strangers() -> None:
    """An app's migrations stood beside Melon's before it had a room of its own; there the two could
    not be told apart, and would part at the next newer Melon."""
    folder = Path(context.script.dir).resolve() / "versions"
    for one in context.script.walk_revisions():
        if Path(one.path).parent == folder and not re.fullmatch(r"[0-9]{4}", one.revision):
            raise CommandError(
                f"{one.revision} is none of Melon's migrations; yours stand in your app's"
                " migrations/versions (docs/upgrading.md)"
            )


def refuse_behind() -> None:
    """Models are compared with a database that has every migration."""
    here = context.get_context().get_current_heads()
    if set(context.script.get_revisions(here)) != set(context.script.get_revisions("heads")):
        raise CommandError("the database is behind the migrations; first run: flask db upgrade")


OPTIONS: dict[str, Any] = {
    "target_metadata": db.metadata,
    "include_name": lambda name, kind, _parents: is_compared(name, kind),
    "include_object": lambda _item, name, kind, *_: is_compared(name, kind),
    "render_item": render_item,
    "process_revision_directives": finish_script,
    "render_as_batch": True,  # SQLite changes a table by copying it
    "compare_type": is_other_type,
    "template_args": {"phone_names": PHONE_NAMES},
}
refuse_strangers()
if context.is_offline_mode():
    url = db.engine.url.render_as_string(hide_password=False)
    context.configure(url=url, literal_binds=True, **OPTIONS)
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = patient_engine()
    with engine.connect() as connection:
        context.configure(connection=connection, **OPTIONS)
        try:
            if WRITES:
                refuse_behind()
            with context.begin_transaction():
                context.run_migrations()
        except CommandError as error:
            _, _, unknown = revisions(connection)
            raise CommandError(about_unknown(unknown)) if unknown else error from error
        connection.commit()
    engine.dispose()
