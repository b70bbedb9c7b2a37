"""Melon API: a sync backend for WatermelonDB apps."""

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from melon_api import room
from melon_api.auth import tokens
from melon_api.auth.routes import blueprint as auth
from melon_api.events import run as events
from melon_api.events.cli import events as event_commands
from melon_api.events.webhooks import webhook as webhooks
from melon_api.loading import cli as loading
from melon_api.logic import run as logic
from melon_api.logic.writes import changes
from melon_api.mail import outbox
from melon_api.models.base import db
from melon_api.ops import health, logs, metrics, migrations, queries, reports
from melon_api.ops.release import release
from melon_api.passwordless.routes import blueprint as passwordless
from melon_api.seed import seed
from melon_api.storage import engine, redis_cache
from melon_api.sync.cli import sync as sync_commands
from melon_api.sync.discovery import synced_tables
from melon_api.sync.front import call as front
from melon_api.sync.front.pulls import PlainPulls
from melon_api.sync.front.pushes import PlainPushes
from melon_api.sync.routes import blueprint as sync
from melon_api.users.cli import users as user_commands
from melon_api.users.routes import blueprint as users
from melon_api.web import app_routes, demo, headers, limits, problems, request, start_page
from melon_api.web.body import cost
from melon_api.web.openapi import page as openapi


def create_app(settings: object | None = None) -> Flask:
    """The application, ready to serve, with the settings that `config.load` makes of the
    environment, or has made.

    Raises ConfigError with every missing setting, ModelError with every sentence about the app's
    tables, AppError with the line of a module of the app's that fails.
    """
    if settings is None:
        from config import load  # noqa: PLC0415 - it puts together what the rooms declare

        settings = load()
    app = request.Application(__name__, static_folder=None)
    app.config.from_object(settings)
    app.url_map.strict_slashes = app.url_map.merge_slashes = False  # nothing redirects
    room.load(app.config["MELON_APP"])
    synced_tables()  # a table that cannot work stops the start

    logs.init_app(app)
    reports.init_app(app)
    db.init_app(app)
    limits.init_app(app)
    headers.init_app(app)
    tokens.init_app(app)
    engine.init_app(app)
    queries.init_app(app)
    reports.init_database(app)
    redis_cache.init_app(app)
    outbox.init_app(app)
    problems.init_app(app)
    request.init_app(app)
    cost.init_app(app)
    logic.init_app(app)
    webhooks.init_app(app)
    events.init_app(app)

    for blueprint in (auth, passwordless, users, sync):
        app.register_blueprint(blueprint)
    health.init_app(app)
    metrics.init_app(app)
    openapi.init_app(app)
    demo.init_app(app)
    start_page.init_app(app)
    app_routes.init_app(app)
    migrations.init_app(app)
    for command in (release, seed, sync_commands, user_commands, event_commands):
        app.cli.add_command(command)
    loading.init_app(app, user_commands, changes)

    front.init_app(app, limits.counted, PlainPulls, PlainPushes)
    hops = app.config["TRUSTED_PROXIES"]
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]
    return app
