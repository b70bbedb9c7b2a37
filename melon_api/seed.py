"""`flask seed`: a demo account with what the app's `seed` module yields, pushed as by a phone."""

from collections import Counter

import click
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy import select

from melon_api import room
from melon_api.auth import service as auth
from melon_api.auth.accounts import Caller
from melon_api.auth.sessions import Device, device_key, device_number
from melon_api.mail.outbox import outbox
from melon_api.models.base import db
from melon_api.models.user import User
from melon_api.sentences import plainly
from melon_api.sync import push as pushes
from melon_api.sync.rules.pushed import PushRequest
from melon_api.sync.rules.settings import RULES

EMAIL = "demo@example.com"
PASSWORD = "melon-demo-2026"  # noqa: S105 - meant to be known, and refused in production
DEVICE = Device(key="seed", name="flask seed")


@click.command()
@click.option(
    "--records",
    default=100,
    show_default=True,
    type=click.IntRange(0, 1_000_000),
    help="About how many.",
)
@click.option("--email", default=EMAIL, show_default=True, help="Whose account it is.")
@click.option("--password", default=None, help=f"Default outside of production: {PASSWORD}")
@with_appcontext
@plainly
def seed(records: int, email: str, password: str | None) -> None:
    """Make a demo account, with what the app's seed.py has for it. Safe to run twice."""
    if password is None and current_app.config["NEEDS_SERVERS"]:
        raise click.UsageError("In staging and production choose a --password of your own.")
    caller = _account(email.lower(), password or PASSWORD)
    counts: Counter[str] = Counter()
    source = room.part(current_app.config["MELON_APP"], "seed")
    for changes in source.pushes(records) if source else ():
        asked = PushRequest(changes, _clock(caller), False)
        rules = current_app.extensions[RULES]
        pushes.push(db.engine, caller, asked, "last_write_wins", rules=rules)
        counts.update({table: len(lists["created"]) for table, lists in changes.items()})
    outbox().settle()  # what is logged of a mail comes before what is to be read
    made = " and ".join(f"{count} {table}" for table, count in counts.items())
    none = (
        f"The account is there, without records: {current_app.config['MELON_APP']}/seed.py has none"
    )
    click.echo(f"{f'Seeded {made}' if made else none}. Sign in with:")
    click.echo(f"  e-mail:   {email}\n  password: {password or PASSWORD}")


def _account(email: str, password: str) -> Caller:
    user = db.session.scalar(select(User).where(User.email == email))
    if user is None:
        user = auth.register(email, password, "Demo", DEVICE).user
    else:
        auth.login(email, password, DEVICE)  # so that the password printed is the right one
    return Caller(user.id, "", device_number(device_key(DEVICE.key, "", user.id)))


def _clock(caller: Caller) -> int:
    query = select(User.sync_clock).where(User.id == caller.user_id)
    clock = db.session.scalar(query)
    db.session.rollback()
    return clock or 0
