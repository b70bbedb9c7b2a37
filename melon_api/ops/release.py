"""`flask release`: what a deploy does before the new release serves.

A platform runs it at each deploy, but also when a setting changes and when it rolls back. So an
older release that meets a newer database leaves it alone and succeeds: migrations are safe for the
release before (docs/operations.md).
"""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click
from flask.cli import with_appcontext
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import DBAPIError

from melon_api.ops import migrations
from melon_api.storage.engine import patient_engine, probe

PAUSE_SECONDS = 1
OTHER_RELEASE_SECONDS = 600  # for a release that runs already; its migration may take long


@click.command()
@click.option(
    "--wait", default=60, show_default=True, type=click.IntRange(0), help="Seconds for an answer."
)
@with_appcontext
def release(wait: int) -> None:
    """Migrate the database, as soon as it answers.

    Ends with 1 and a sentence when it does not, or when a migration fails. A database that a newer
    release has migrated is left alone.
    """
    engine = patient_engine()
    _await_answer(engine, wait)
    with _no_other_release(engine):
        with engine.connect() as connection:
            _, _, unknown = migrations.revisions(connection)
        if migrations.EXAMPLE in unknown:
            raise click.ClickException(migrations.about_unknown(unknown))
        if unknown:
            click.echo(migrations.about_unknown(unknown))
            return
        migrations.upgrade()
    click.echo("The database is migrated.")


def _await_answer(engine: Engine, seconds: int) -> None:
    """Returns when the database answers. Raises ClickException when it has not for so long; one
    that refuses us is waited for, too: a platform may make it and its user while we start."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return probe()
        except DBAPIError as error:
            if time.monotonic() > deadline:
                raise click.ClickException(
                    f"The database {engine.url.host or ''}:{engine.url.port or 3306} did not answer"
                    f" as it should within {seconds} s: {error.orig}"
                ) from None
        time.sleep(PAUSE_SECONDS)


@contextmanager
def _no_other_release(engine: Engine) -> Iterator[None]:
    """Two releases at once would both add the same column. The server lets go of the lock when our
    connection ends, however that comes. SQLite has no such lock, and one machine."""
    if engine.dialect.name == "sqlite":
        yield
        return
    name = "melon_release_" + hashlib.sha256(str(engine.url.database).encode()).hexdigest()[:32]
    with engine.connect() as connection:
        if connection.scalar(select(func.get_lock(name, OTHER_RELEASE_SECONDS))) != 1:
            raise click.ClickException(
                f"Another release has been at work for {OTHER_RELEASE_SECONDS} s."
            )
        yield
