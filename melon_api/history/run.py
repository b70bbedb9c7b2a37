"""The room's one door: what the application has to know of the history."""

import weakref
from functools import partial

import click
from flask import Flask, current_app

from melon_api.history import store
from melon_api.history.calls import Calls
from melon_api.history.cli import diff_command, history_command
from melon_api.history.keeper import Keeper
from melon_api.models.base import db, now_ms
from melon_api.sync.cli import PURGES
from melon_api.sync.front.call import Keep

EXTENSION = "sync_history"
DAY_MS = 86_400_000


def init_app(app: Flask, sync: click.Group) -> Keep:
    """`sync`: `flask sync`. Gives what the calls in front of Flask tell what they have answered."""
    for command in (history_command, diff_command):
        sync.add_command(command)
    app.extensions.setdefault(PURGES, []).append(_purged)
    if not app.config["SYNC_HISTORY_DAYS"]:
        return _nothing
    with app.app_context():
        keeper = Keeper(partial(store.write, db.engine))
    app.extensions[EXTENSION] = keeper
    weakref.finalize(app, keeper.close)  # at the end of the process, too
    calls = Calls(keeper.add)
    app.after_request_funcs.setdefault("sync", []).append(calls.in_flask)
    return calls.in_front


def _nothing(*_: object) -> None:
    pass


def _purged(is_dry: bool) -> str:
    before = now_ms() - current_app.config["SYNC_HISTORY_DAYS"] * DAY_MS
    count = store.forget(db.engine, before, dry_run=is_dry)
    return f"{'Would forget' if is_dry else 'Forgot'} {count} calls of the history."
