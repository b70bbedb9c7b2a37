"""Melon API: a sync backend for WatermelonDB apps."""

from typing import Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from melon_api import room
from melon_api.auth.routes import blueprint as auth
from melon_api.core import create_core
from melon_api.events import run as events
from melon_api.events.cli import events as event_commands
from melon_api.events.webhooks import webhook as webhooks
from melon_api.history import run as history
from melon_api.loading import cli as loading
from melon_api.logic import run as logic
from melon_api.logic.writes import changes
from melon_api.mail import outbox
from melon_api.ops import migrations
from melon_api.ops.release import release
from melon_api.passwordless.oidc import grants
from melon_api.passwordless.oidc import keys as oidc
from melon_api.passwordless.routes import blueprint as passwordless
from melon_api.seed import seed
from melon_api.spaces import departures
from melon_api.spaces.routes import blueprint as spaces
from melon_api.sync.cli import sync as sync_commands
from melon_api.sync.discovery import synced_tables
from melon_api.sync.front import call as front
from melon_api.sync.front.pulls import PlainPulls
from melon_api.sync.front.pushes import PlainPushes
from melon_api.sync.routes import blueprint as sync
from melon_api.users import deletion, purging
from melon_api.users.cli import users as user_commands
from melon_api.users.routes import blueprint as users
from melon_api.web import app_routes, demo, limits, start_page
from melon_api.web.body import cost
from melon_api.web.docs import routes as docs
from melon_api.web.openapi import page as openapi


def create_app(settings: Any = None) -> Flask:
    """The application, ready to serve, with the settings that `config.load` makes of the
    environment, or has made.

    Raises ConfigError with every missing setting, ModelError with every sentence about the app's
    tables, AppError with the line of a module of the app's that fails.
    """
    if settings is None:
        from config import load  # noqa: PLC0415 - it puts together what the rooms declare

        settings = load()
    room.load(settings.MELON_APP)
    synced_tables()  # a table that cannot work stops the start

    app = create_core(__name__, settings)
    oidc.init_app(app)
    grants.init_app(app)
    outbox.init_app(app)
    cost.init_app(app)
    logic.init_app(app)
    deletion.init_app(app, departures)
    webhooks.init_app(app)
    events.init_app(app)

    for blueprint in (auth, passwordless, users, spaces, sync):
        app.register_blueprint(blueprint)
    openapi.init_app(app)
    docs.init_app(app)
    demo.init_app(app)
    start_page.init_app(app)
    app_routes.init_app(app)
    migrations.init_app(app)
    for command in (release, seed, sync_commands, user_commands, event_commands):
        app.cli.add_command(command)
    purging.init_app(app)
    loading.init_app(app, user_commands, changes)

    keep = history.init_app(app, sync_commands)
    front.init_app(app, limits.counted, keep, PlainPulls, PlainPushes)
    hops = app.config["TRUSTED_PROXIES"]
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]
    return app
