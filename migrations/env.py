"""How `flask db` runs a migration: on the application's own engine and models."""

import re
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.ddl.mysql import MySQLImpl
from alembic.operations.ops import DropTableOp, MigrationScript
from alembic.util import CommandError, to_tuple
from flask import current_app
from sqlalchemy import Text, column, select, table, text
from sqlalchemy.exc import DBAPIError

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

# There while migrations run, and where one was cut off.
STEPS = table("alembic_steps", column("step"), column("is_done"))
# That there is such a table, none, such a column, such an index, none, such a foreign key. MariaDB
# has for the last a number that says other things, too.
IS_SO = {1050, 1051, 1060, 1061, 1091, 1826}
CANNOT_CREATE, DUPLICATE_KEY = 1005, "errno: 121"


class Stepwise(MySQLImpl):
    """MySQL and MariaDB commit each change of a table by itself: a migration that is cut off (the
    process was killed, the network was away) has done half of what it does. So each statement is
    noted, and a migration that is run again goes on behind the last one.

    A change of rows is stored together with its note. That of a table commits the note that it has
    begun, and may be done or not when no other says so: then it is done again, and is told so."""

    __dialect__ = "mysql"
    _seen: Counter[str] | None = None

    def _exec(self, construct: Any, *args: Any, **more: Any) -> Any:
        words = text(construct) if isinstance(construct, str) else construct
        compiled = words.compile(dialect=self.dialect)
        if self.as_sql or "alembic_version" in str(compiled):
            return super()._exec(construct, *args, **more)
        what = f"{compiled} {compiled.params} {args} {more}"
        if self._seen is None:
            self._seen = Counter()
            columns = "step CHAR(64) PRIMARY KEY, is_done BOOLEAN NOT NULL"
            self._note(text(f"CREATE TABLE IF NOT EXISTS {STEPS} ({columns}) ENGINE InnoDB"))
        self._seen[what] += 1
        step = sha256(f"{self._seen[what]} {what}".encode()).hexdigest()
        noted = self._note(select(STEPS.c.is_done).where(STEPS.c.step == step)).scalar()
        return None if noted else self._step(step, noted is not None, construct, *args, **more)

    def _step(self, step: str, has_begun: bool, *what: Any, **more: Any) -> Any:
        if not has_begun:
            self._note(STEPS.insert().values(step=step, is_done=False))
        result = None
        try:
            result = super()._exec(*what, **more)
        except DBAPIError as error:
            if not (has_begun and error.orig and is_so(*error.orig.args)):
                if not error.connection_invalidated:
                    self._note(STEPS.delete().where(STEPS.c.step == step))
                    self._note(text("COMMIT"))
                raise
        self._note(STEPS.update().where(STEPS.c.step == step).values(is_done=True))
        return result

    def _note(self, statement: Any) -> Any:
        return self.connection.execute(statement)

    def forget(self) -> None:
        """One migration is done, and stored as such in the same transaction."""
        if self._seen is not None:
            self._seen.clear()
            self._note(STEPS.delete())

    def end(self) -> None:
        if self._seen is not None:
            self._note(text(f"DROP TABLE {STEPS}"))


def is_so(number: int, said: str) -> bool:
    """Whether an error says that a change of a table is done already."""
    return number in IS_SO or (number == CANNOT_CREATE and DUPLICATE_KEY in said)


def is_compared(name: str, kind: str) -> bool:
    """Each branch looks after its own tables: Melon's change with Melon's migrations alone."""
    return kind != "table" or (name != STEPS.name and (name in OURS) == (BRANCH == MELON))


def forget_steps(ctx: Any, **_: Any) -> None:
    if isinstance(ctx.impl, Stepwise):
        ctx.impl.forget()


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
    "on_version_apply": forget_steps,
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
            impl = context.get_context().impl
            if isinstance(impl, Stepwise):
                impl.end()
        except CommandError as error:
            _, _, unknown = revisions(connection)
            raise CommandError(about_unknown(unknown)) if unknown else error from error
        connection.commit()
    engine.dispose()
